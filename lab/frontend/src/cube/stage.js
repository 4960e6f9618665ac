// The WebGL side: one renderer, one mesh whose colors live in a texture, one frame around the cube.

import "@kitware/vtk.js/Rendering/OpenGL/Profiles/Geometry.js";
import vtkDataArray from "@kitware/vtk.js/Common/Core/DataArray.js";
import vtkImageData from "@kitware/vtk.js/Common/DataModel/ImageData.js";
import vtkPolyData from "@kitware/vtk.js/Common/DataModel/PolyData.js";
import vtkInteractorStyle from "@kitware/vtk.js/Interaction/Style/InteractorStyleTrackballCamera.js";
import vtkActor from "@kitware/vtk.js/Rendering/Core/Actor.js";
import vtkLight from "@kitware/vtk.js/Rendering/Core/Light.js";
import vtkMapper from "@kitware/vtk.js/Rendering/Core/Mapper.js";
import vtkRenderer from "@kitware/vtk.js/Rendering/Core/Renderer.js";
import vtkRenderWindow from "@kitware/vtk.js/Rendering/Core/RenderWindow.js";
import vtkInteractor from "@kitware/vtk.js/Rendering/Core/RenderWindowInteractor.js";
import vtkTexture from "@kitware/vtk.js/Rendering/Core/Texture.js";
import vtkOpenGLRenderWindow from "@kitware/vtk.js/Rendering/OpenGL/RenderWindow.js";

import { cross, dot } from "./geometry.js";

const TEXTURE_WIDTH = 1024;
const PLAIN = 255;
const HOVERED = 170;
const SELECTED = 85;
const NO_RING = [0, 0, 0, 0];
/** From below, where the face z = 0 is, on which presets put the surface. */
const HOME = [0.62, -0.95, -0.56];
const MARGIN = 1.09;

// Cell borders are drawn by the fragment shader, at a constant width in pixels and smooth at any zoom,
// and fade out where a cell is only a few pixels wide. The alpha of a face's color says whether its cell is
// hovered or selected, and so gets a two-tone ring that shows on every color. The upper half of the texture
// holds the color of a ring of its own for each face, inside a white line; with no alpha there is none.
const BORDER = (pixel) => `
  vec2 cornerStep = max(fwidth(cornerVSOutput), vec2(1e-6));
  vec2 cornerDistance = min(cornerVSOutput, 1.0 - cornerVSOutput) / cornerStep / ${pixel};
  float toBorder = min(cornerDistance.x, cornerDistance.y);
  float cellPixels = 1.0 / max(cornerStep.x, cornerStep.y) / ${pixel};
  float crease = 1.0 - smoothstep(0.0, 0.09, min(min(cornerVSOutput.x, 1.0 - cornerVSOutput.x),
                                                 min(cornerVSOutput.y, 1.0 - cornerVSOutput.y)));
  float line = (1.0 - smoothstep(0.35, 1.15, toBorder)) * smoothstep(3.0, 12.0, cellPixels);
  vec3 shaded = gl_FragData[0].rgb * (1.0 - 0.10 * crease) * (1.0 - 0.5 * line);
  vec4 ringColor = texture2D(texture1, tcoordVCVSOutput + vec2(0.0, 0.5));
  if (ringColor.a > 0.5) {
    float wide = min(3.4, 0.2 * cellPixels);
    shaded = mix(shaded, vec3(1.0), 1.0 - smoothstep(wide + 0.6, wide + 1.4, toBorder));
    shaded = mix(shaded, ringColor.rgb, 1.0 - smoothstep(wide - 0.4, wide + 0.4, toBorder));
  }
  if (tcolor.a < 0.9) {
    float ring = tcolor.a < 0.5 ? 1.0 : 0.55;
    float thin = min(2.2, 0.14 * cellPixels);
    shaded = mix(shaded, vec3(1.0), ring * (1.0 - smoothstep(4.0, 4.8, toBorder)));
    shaded = mix(shaded, vec3(0.05), ring * (1.0 - smoothstep(thin - 0.4, thin + 0.4, toBorder)));
  }
  gl_FragData[0] = vec4(shaded, 1.0);
`;

/** Stages that nothing shows now. A context, with its shaders, takes a software renderer half a second. */
const idle = [];
const MOST_IDLE = 4;

export class Stage {
  /**
   * A stage that was left, or else a new one.
   * @param {HTMLElement} container
   * @param {() => void} onCamera called after every change of the camera
   * @param {() => void} onLost called when the browser takes the graphics context away
   */
  static enter(container, onCamera, onLost) {
    const stage = idle.pop() ?? new Stage();
    Object.assign(stage, { container, onCamera, onLost });
    stage.surface.setContainer(container);
    stage.interactor.bindEvents(container);
    return stage;
  }

  constructor() {
    this.renderer = vtkRenderer.newInstance({ automaticLightCreation: false });
    this.renderer.setBackground(0, 0, 0, 0);
    this.#addLight([-0.7, -0.9, 1.5], 0.78);
    this.#addLight([1.4, 0.1, 0.6], 0.34);
    this.window = vtkRenderWindow.newInstance();
    this.window.addRenderer(this.renderer);
    this.surface = vtkOpenGLRenderWindow.newInstance();
    this.window.addView(this.surface);
    this.interactor = vtkInteractor.newInstance();
    this.interactor.setInteractorStyle(vtkInteractorStyle.newInstance());
    this.interactor.setView(this.surface);
    this.interactor.initialize();
    this.camera = this.renderer.getActiveCamera();
    this.camera.setViewAngle(22);
    this.#makeMesh();
    this.#makeFrame();
    this.camera.onModified(() => this.onCamera());
    this.canvas.addEventListener("webglcontextlost", () => this.#lose());
  }

  get canvas() {
    return this.surface.getCanvas();
  }

  /** Takes over the size of the container; returns false while it has none. */
  resize() {
    const { width, height } = this.container.getBoundingClientRect();
    if (width < 1 || height < 1) return false;
    const ratio = window.devicePixelRatio || 1;
    this.surface.setSize(Math.round(width * ratio), Math.round(height * ratio));
    return true;
  }

  setFaces(faces) {
    this.faces = faces;
    const height = Math.max(1, Math.ceil(faces.cells.length / TEXTURE_WIDTH));
    const { points, normals, texels, corners, polygons } = faces.vertices(TEXTURE_WIDTH, 2 * height);
    this.mesh.getPoints().setData(points, 3);
    this.mesh.getPolys().setData(polygons);
    const data = this.mesh.getPointData();
    data.setNormals(vtkDataArray.newInstance({ name: "normals", values: normals, numberOfComponents: 3 }));
    data.setTCoords(vtkDataArray.newInstance({ name: "texels", values: texels, numberOfComponents: 2 }));
    data.addArray(vtkDataArray.newInstance({ name: "corner", values: corners, numberOfComponents: 2 }));
    this.mesh.modified();

    this.texels = new Uint8Array(TEXTURE_WIDTH * 2 * height * 4).fill(PLAIN);
    const image = vtkImageData.newInstance();
    image.setDimensions(TEXTURE_WIDTH, 2 * height, 1);
    image.getPointData().setScalars(vtkDataArray.newInstance({ values: this.texels, numberOfComponents: 4 }));
    this.texture.setInputData(image);
    this.#frameAround(faces.size);
    this.actor.getProperty().setBackfaceCulling(faces.closed);
    this.actor.setVisibility(faces.cells.length > 0);
  }

  /** One color per face: an index into `table`, or RGB without one. */
  setColors(colors, table) {
    for (let face = 0; face < this.faces.cells.length; face += 1) {
      const source = table ? table : colors;
      const from = table ? colors[face] * 3 : face * 3;
      this.texels[face * 4] = source[from];
      this.texels[face * 4 + 1] = source[from + 1];
      this.texels[face * 4 + 2] = source[from + 2];
    }
    this.texture.modified();
  }

  /** Outlines cells: a map from each to what holds the color of its ring. */
  setRings(rings) {
    const { cells } = this.faces;
    const half = this.texels.length / 2;
    for (let face = 0; face < cells.length; face += 1) {
      const ring = rings.get(cells[face]);
      this.texels.set(ring ? [...ring.color, 255] : NO_RING, half + face * 4);
    }
    this.texture.modified();
  }

  /** Draws the whole cube's outline where cells are missing from it. */
  showFrame(visible) {
    this.frameActor.setVisibility(visible);
  }

  /** Puts the ring around two cells; null for none. */
  setMarks(selected, hovered) {
    const { cells } = this.faces;
    for (let face = 0; face < cells.length; face += 1) {
      const cell = cells[face];
      this.texels[face * 4 + 3] = cell === selected ? SELECTED : cell === hovered ? HOVERED : PLAIN;
    }
    this.texture.modified();
  }

  /** Colors of text and background as 0 to 255 each; the frame is drawn halfway between them. */
  setTheme(ink, paper) {
    this.frameActor.getProperty().setColor(...ink.map((value, index) => (value + paper[index]) / 510));
  }

  draw() {
    if (!this.resize()) return;
    this.renderer.resetCameraClippingRange();
    this.window.render();
  }

  /** Looks at the whole cube from a direction, as near as it fits into the picture. */
  home(direction = HOME, up = [0, 0, 1]) {
    const { size } = this.faces;
    const toward = normalize(direction);
    const right = normalize(cross(up, toward));
    const above = cross(toward, right);
    const [width, height] = this.surface.getSize();
    const steep = Math.tan(((this.camera.getViewAngle() / 2) * Math.PI) / 180);
    const wide = steep * Math.min(width / height, 1.6);
    let distance = 0;
    for (let corner = 0; corner < 8; corner += 1) {
      const arm = size.map((length, axis) => ((corner >> axis) & 1 ? length : -length) / 2);
      const reach = Math.max(Math.abs(dot(arm, right)) / wide, Math.abs(dot(arm, above)) / steep);
      distance = Math.max(distance, dot(arm, toward) + reach);
    }
    const focalPoint = size.map((length) => length / 2);
    const position = focalPoint.map((middle, axis) => middle + toward[axis] * distance * MARGIN);
    this.setState({ position, focalPoint, viewUp: up });
  }

  /** Moves the camera along with the cube's middle, when layers are pulled apart. */
  follow(before) {
    const shift = this.faces.size.map((length, axis) => (length - before[axis]) / 2);
    const { position, focalPoint, viewUp } = this.getState();
    const moved = (point) => point.map((value, axis) => value + shift[axis]);
    this.setState({ position: moved(position), focalPoint: moved(focalPoint), viewUp });
  }

  getState() {
    const rounded = (values) => values.map((value) => Number(value.toFixed(4)));
    return {
      dimensions: this.faces.dimensions,
      size: this.faces.size,
      position: rounded(this.camera.getPosition()),
      focalPoint: rounded(this.camera.getFocalPoint()),
      viewUp: rounded(this.camera.getViewUp()),
    };
  }

  setState({ position, focalPoint, viewUp }) {
    this.camera.set({ position, focalPoint, viewUp });
    this.camera.modified();
  }

  turn(azimuth, elevation) {
    this.camera.azimuth(azimuth);
    this.camera.elevation(elevation);
    this.camera.orthogonalizeViewUp();
  }

  zoom(factor) {
    this.camera.dolly(factor);
  }

  /** Axes as seen on the screen: three unit vectors [right, up, towards the viewer]. */
  axes() {
    const toward = normalize(this.camera.getDirectionOfProjection().map((value) => -value));
    const right = normalize(cross(this.camera.getViewUp(), toward));
    const up = cross(toward, right);
    return [0, 1, 2].map((axis) => [right[axis], up[axis], toward[axis]]);
  }

  /** Face under a point of the page, as an index, or -1. */
  faceAt(clientX, clientY) {
    if (!this.faces) return -1;
    const box = this.canvas.getBoundingClientRect();
    const [width, height] = this.surface.getSize();
    const x = ((clientX - box.left) / box.width) * width;
    const y = (1 - (clientY - box.top) / box.height) * height;
    const near = this.surface.displayToWorld(x, y, 0, this.renderer);
    const far = this.surface.displayToWorld(x, y, 1, this.renderer);
    return this.faces.hit(near, normalize(far.map((value, axis) => value - near[axis])));
  }

  /** Nothing shows it any more, until it is entered again. */
  leave() {
    this.onCamera = this.onLost = () => {};
    this.interactor.unbindEvents();
    this.surface.setContainer(null);
    if (!this.lost && idle.length < MOST_IDLE) idle.push(this);
    else this.#destroy();
  }

  #lose() {
    this.lost = true;
    this.onLost();
    if (!idle.includes(this)) return;
    idle.splice(idle.indexOf(this), 1);
    this.#destroy();
  }

  #destroy() {
    const context = this.surface.getContext();
    this.interactor.delete();
    this.surface.delete();
    context.getExtension("WEBGL_lose_context")?.loseContext();
  }

  #addLight(position, intensity) {
    const light = vtkLight.newInstance({ position, focalPoint: [0, 0, 0], intensity });
    light.setLightTypeToCameraLight();
    this.renderer.addLight(light);
  }

  #makeMesh() {
    this.mesh = vtkPolyData.newInstance();
    this.texture = vtkTexture.newInstance({ interpolate: false, repeat: false, resizable: true });
    const mapper = vtkMapper.newInstance({ scalarVisibility: false });
    mapper.setCustomShaderAttributes(["corner"]);
    mapper.setInputData(this.mesh);
    const replace = (shaderType, originalValue, replacementValue, replaceFirst = true) => ({
      shaderType,
      originalValue,
      replacementValue: `${replacementValue}\n${originalValue}`,
      replaceFirst,
      replaceAll: false,
    });
    mapper.getViewSpecificProperties().OpenGL = {
      ShaderReplacements: [
        replace("Vertex", "//VTK::TCoord::Dec", "attribute vec2 cornerMC; varying vec2 cornerVSOutput;"),
        replace("Vertex", "//VTK::TCoord::Impl", "cornerVSOutput = cornerMC;"),
        replace("Fragment", "//VTK::TCoord::Dec", "varying vec2 cornerVSOutput;"),
        replace("Fragment", "//VTK::Light::Impl", BORDER((window.devicePixelRatio || 1).toFixed(3)), false),
      ],
    };
    this.actor = vtkActor.newInstance({ forceOpaque: true });
    this.actor.setMapper(mapper);
    this.actor.addTexture(this.texture);
    const surface = this.actor.getProperty();
    surface.set({ ambient: 0.56, diffuse: 0.5, specular: 0, backfaceCulling: true });
    this.renderer.addActor(this.actor);
  }

  #makeFrame() {
    this.frame = vtkPolyData.newInstance();
    const mapper = vtkMapper.newInstance({ scalarVisibility: false });
    mapper.setInputData(this.frame);
    this.frameActor = vtkActor.newInstance({ forceOpaque: true });
    this.frameActor.setMapper(mapper);
    this.frameActor.getProperty().set({ lighting: false, ambient: 1, diffuse: 0 });
    this.renderer.addActor(this.frameActor);
  }

  #frameAround(size) {
    const margin = 0.003 * Math.max(...size);
    const points = new Float32Array(24);
    const lines = [];
    for (let corner = 0; corner < 8; corner += 1) {
      for (let axis = 0; axis < 3; axis += 1) {
        const end = (corner >> axis) & 1;
        points[corner * 3 + axis] = end ? size[axis] + margin : -margin;
        if (!end) lines.push(2, corner, corner | (1 << axis));
      }
    }
    this.frame.getPoints().setData(points, 3);
    this.frame.getLines().setData(Uint32Array.from(lines));
    this.frame.modified();
  }
}

const normalize = (vector) => {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
};
