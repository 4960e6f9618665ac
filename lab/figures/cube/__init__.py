"""The cube of cells as scenes: fields, cuts, surfaces, films and pictures drawn on the server."""
