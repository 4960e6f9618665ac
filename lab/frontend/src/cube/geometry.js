// Faces of cells as triangles for the graphics card, and the way back from a ray to a cell.

// Corners of the six sides (-x, +x, -y, +y, -z, +z), counter-clockwise from outside; as in lab/scenes.py.
const CORNERS = [
  [[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0]],
  [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]],
  [[0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1]],
  [[0, 1, 0], [0, 1, 1], [1, 1, 1], [1, 1, 0]],
  [[0, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 0]],
  [[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]],
];
const FACE = [0, 0, 1, 0, 1, 1, 0, 1];

export class Faces {
  /**
   * @param {{dimensions: number[], spacing: number[], geometry: string}} scene
   * @param {Uint32Array} cells cell of each face
   * @param {Uint8Array} sides side of each face
   */
  constructor({ dimensions, spacing, geometry }, cells, sides) {
    this.key = geometry;
    this.dimensions = dimensions;
    this.cells = cells;
    this.sides = sides;
    this.pitch = spacing.map((gap) => 1 + gap);
    this.size = dimensions.map((count, axis) => (count - 1) * this.pitch[axis] + 1);
  }

  /** Grid position of a cell: index (x * Y + y) * Z + z. */
  position(cell) {
    const [, ySize, zSize] = this.dimensions;
    return [Math.floor(cell / (ySize * zSize)), Math.floor(cell / zSize) % ySize, cell % zSize];
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
