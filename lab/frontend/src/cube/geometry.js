// What is drawn as triangles for the graphics card, faces of cells or a surface through them, and the way
// back from a ray to a cell.

// Corners of the six sides (-x, +x, -y, +y, -z, +z), counter-clockwise from outside; as in lab/figures/cube/scenes.py.
const CORNERS = [
  [[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0]],
  [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]],
  [[0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1]],
  [[0, 1, 0], [0, 1, 1], [1, 1, 1], [1, 1, 0]],
  [[0, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 0]],
  [[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]],
];
const FACE = [0, 0, 1, 0, 1, 1, 0, 1];

/** Faces or triangles, as they came; `arrays` are those of lab/figures/cube/scenes.py. */
export const shapeOf = (scene, arrays) => (arrays.triangles ? new Triangles(scene, arrays) : new Faces(scene, arrays));

class Shape {
  constructor({ dimensions, spacing, geometry }, cells) {
    this.key = geometry;
    this.dimensions = dimensions;
    this.cells = cells;
    this.pitch = spacing.map((gap) => 1 + gap);
    this.size = dimensions.map((count, axis) => (count - 1) * this.pitch[axis] + 1);
  }

  /** Grid position of a cell: index (x * Y + y) * Z + z. */
  position(cell) {
    const [, ySize, zSize] = this.dimensions;
    return [Math.floor(cell / (ySize * zSize)), Math.floor(cell / zSize) % ySize, cell % zSize];
  }
}

class Triangles extends Shape {
  closed = false;

  /**
   * @param {object} scene
   * @param {{points: Float32Array, normals: Float32Array, triangles: Uint32Array, cells: Uint32Array}} arrays
   *   `cells` holds the cell nearest to each triangle
   */
  constructor(scene, { points, normals, triangles, cells }) {
    super(scene, cells);
    this.points = points;
    this.normals = normals;
    this.triangles = triangles;
  }

  vertices(textureWidth, textureHeight) {
    const count = this.cells.length;
    const points = new Float32Array(count * 9);
    const normals = new Float32Array(count * 9);
    const texels = new Float32Array(count * 6);
    const corners = new Float32Array(count * 6).fill(0.5);
    const polygons = new Uint32Array(count * 4);
    for (let face = 0; face < count; face += 1) {
      polygons[face * 4] = 3;
      for (let corner = 0; corner < 3; corner += 1) {
        const vertex = face * 3 + corner;
        const from = this.triangles[vertex] * 3;
        points.set(this.points.subarray(from, from + 3), vertex * 3);
        normals.set(this.normals.subarray(from, from + 3), vertex * 3);
        texels[vertex * 2] = ((face % textureWidth) + 0.5) / textureWidth;
        texels[vertex * 2 + 1] = (Math.floor(face / textureWidth) + 0.5) / textureHeight;
        polygons[face * 4 + 1 + corner] = vertex;
      }
    }
    return { points, normals, texels, corners, polygons };
  }

  /** The nearest triangle that a ray meets (Moeller and Trumbore, 1997), or -1. */
  hit(from, direction) {
    let best = Infinity;
    let found = -1;
    const corner = (face, place) => {
      const at = this.triangles[face * 3 + place] * 3;
      return [this.points[at], this.points[at + 1], this.points[at + 2]];
    };
    for (let face = 0; face < this.cells.length; face += 1) {
      const origin = corner(face, 0);
      const one = minus(corner(face, 1), origin);
      const two = minus(corner(face, 2), origin);
      const p = cross(direction, two);
      const area = dot(one, p);
      if (Math.abs(area) < 1e-12) continue;
      const t = minus(from, origin);
      const u = dot(t, p) / area;
      if (u < 0 || u > 1) continue;
      const q = cross(t, one);
      const v = dot(direction, q) / area;
      if (v < 0 || u + v > 1) continue;
      const distance = dot(two, q) / area;
      if (distance > 0 && distance < best) {
        best = distance;
        found = face;
      }
    }
    return found;
  }
}

class Faces extends Shape {
  closed = true;

  /**
   * @param {{dimensions: number[], spacing: number[], geometry: string}} scene
   * @param {{cells: Uint32Array, sides: Uint8Array}} arrays cell and side of each face
   */
  constructor(scene, { cells, sides }) {
    super(scene, cells);
    this.sides = sides;
  }

  /** Vertex arrays, four vertices per face; `texels` says where in the color texture a face looks. */
  vertices(textureWidth, textureHeight) {
    const count = this.cells.length;
    const points = new Float32Array(count * 12);
    const normals = new Float32Array(count * 12);
    const texels = new Float32Array(count * 8);
    const corners = new Float32Array(count * 8);
    const polygons = new Uint32Array(count * 5);
    for (let face = 0; face < count; face += 1) {
      const origin = this.position(this.cells[face]);
      const side = this.sides[face];
      const axis = side >> 1;
      const column = ((face % textureWidth) + 0.5) / textureWidth;
      const row = (Math.floor(face / textureWidth) + 0.5) / textureHeight;
      polygons[face * 5] = 4;
      for (let corner = 0; corner < 4; corner += 1) {
        const vertex = face * 4 + corner;
        for (let a = 0; a < 3; a += 1) {
          points[vertex * 3 + a] = origin[a] * this.pitch[a] + CORNERS[side][corner][a];
        }
        normals[vertex * 3 + axis] = side % 2 ? 1 : -1;
        texels[vertex * 2] = column;
        texels[vertex * 2 + 1] = row;
        corners[vertex * 2] = FACE[corner * 2];
        corners[vertex * 2 + 1] = FACE[corner * 2 + 1];
        polygons[face * 5 + 1 + corner] = vertex;
      }
    }
    return { points, normals, texels, corners, polygons };
  }

  /** The nearest face that a ray meets from outside, as an index into `cells`, or -1. */
  hit(from, direction) {
    let best = Infinity;
    let found = -1;
    for (let face = 0; face < this.cells.length; face += 1) {
      const axis = this.sides[face] >> 1;
      const upper = this.sides[face] & 1;
      if (upper ? direction[axis] >= 0 : direction[axis] <= 0) continue;
      const origin = this.position(this.cells[face]);
      const distance = (origin[axis] * this.pitch[axis] + upper - from[axis]) / direction[axis];
      if (distance <= 0 || distance >= best) continue;
      let inside = true;
      for (let a = 0; a < 3 && inside; a += 1) {
        if (a === axis) continue;
        const at = from[a] + distance * direction[a] - origin[a] * this.pitch[a];
        inside = at >= 0 && at <= 1;
      }
      if (inside) {
        best = distance;
        found = face;
      }
    }
    return found;
  }
}

export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];

const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
