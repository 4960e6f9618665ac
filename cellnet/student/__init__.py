"""The student: a codec and a body, the cube or the perceptron that it is compared with."""
