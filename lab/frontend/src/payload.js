// Reads the binary message that lab/components/payload.py writes.

const TYPES = { uint8: Uint8Array, uint32: Uint32Array, float32: Float32Array, float64: Float64Array };

/**
 * @param {Uint8Array} bytes `[u32 header length][JSON header][arrays]`
 * @returns {{header: object, arrays: Object<string, ArrayLike<number>>}} arrays own their memory
 */
export function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 4 + view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, start)));
  const arrays = {};
  for (const [name, { type, offset, length }] of Object.entries(header.arrays)) {
    const Type = TYPES[type];
    const from = bytes.byteOffset + start + offset;
    arrays[name] = new Type(bytes.buffer.slice(from, from + length * Type.BYTES_PER_ELEMENT));
  }
  return { header, arrays };
}
