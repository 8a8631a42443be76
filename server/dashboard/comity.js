/*! Made by scripts/bundle from clients/js. Notices of the packages within: LICENSES.txt */

// node_modules/lib0/binary.js
var BIT1 = 1;
var BIT2 = 2;
var BIT3 = 4;
var BIT4 = 8;
var BIT6 = 32;
var BIT7 = 64;
var BIT8 = 128;
var BIT18 = 1 << 17;
var BIT19 = 1 << 18;
var BIT20 = 1 << 19;
var BIT21 = 1 << 20;
var BIT22 = 1 << 21;
var BIT23 = 1 << 22;
var BIT24 = 1 << 23;
var BIT25 = 1 << 24;
var BIT26 = 1 << 25;
var BIT27 = 1 << 26;
var BIT28 = 1 << 27;
var BIT29 = 1 << 28;
var BIT30 = 1 << 29;
var BIT31 = 1 << 30;
var BIT32 = 1 << 31;
var BITS5 = 31;
var BITS6 = 63;
var BITS7 = 127;
var BITS17 = BIT18 - 1;
var BITS18 = BIT19 - 1;
var BITS19 = BIT20 - 1;
var BITS20 = BIT21 - 1;
var BITS21 = BIT22 - 1;
var BITS22 = BIT23 - 1;
var BITS23 = BIT24 - 1;
var BITS24 = BIT25 - 1;
var BITS25 = BIT26 - 1;
var BITS26 = BIT27 - 1;
var BITS27 = BIT28 - 1;
var BITS28 = BIT29 - 1;
var BITS29 = BIT30 - 1;
var BITS30 = BIT31 - 1;
var BITS31 = 2147483647;

// node_modules/lib0/math.js
var floor = Math.floor;
var abs = Math.abs;
var min = (a, b) => a < b ? a : b;
var max = (a, b) => a > b ? a : b;
var isNaN = Number.isNaN;
var isNegativeZero = (n) => n !== 0 ? n < 0 : 1 / n < 0;

// node_modules/lib0/number.js
var MAX_SAFE_INTEGER = Number.MAX_SAFE_INTEGER;
var MIN_SAFE_INTEGER = Number.MIN_SAFE_INTEGER;
var LOWEST_INT32 = 1 << 31;
var isInteger = Number.isInteger || ((num) => typeof num === "number" && isFinite(num) && floor(num) === num);
var isNaN2 = Number.isNaN;
var parseInt = Number.parseInt;

// node_modules/lib0/set.js
var create = () => /* @__PURE__ */ new Set();

// node_modules/lib0/array.js
var last = (arr) => arr[arr.length - 1];
var appendTo = (dest, src) => {
  for (let i = 0; i < src.length; i++) {
    dest.push(src[i]);
  }
};
var from = Array.from;
var every = (arr, f) => {
  for (let i = 0; i < arr.length; i++) {
    if (!f(arr[i], i, arr)) {
      return false;
    }
  }
  return true;
};
var some = (arr, f) => {
  for (let i = 0; i < arr.length; i++) {
    if (f(arr[i], i, arr)) {
      return true;
    }
  }
  return false;
};
var unfold = (len, f) => {
  const array = new Array(len);
  for (let i = 0; i < len; i++) {
    array[i] = f(i, array);
  }
  return array;
};
var isArray = Array.isArray;

// node_modules/lib0/string.js
var fromCharCode = String.fromCharCode;
var fromCodePoint = String.fromCodePoint;
var MAX_UTF16_CHARACTER = fromCharCode(65535);
var toLowerCase = (s) => s.toLowerCase();
var trimLeftRegex = /^\s*/g;
var trimLeft = (s) => s.replace(trimLeftRegex, "");
var fromCamelCaseRegex = /([A-Z])/g;
var fromCamelCase = (s, separator) => trimLeft(s.replace(fromCamelCaseRegex, (match2) => `${separator}${toLowerCase(match2)}`));
var _encodeUtf8Polyfill = (str) => {
  const encodedString = unescape(encodeURIComponent(str));
  const len = encodedString.length;
  const buf = new Uint8Array(len);
  for (let i = 0; i < len; i++) {
    buf[i] = /** @type {number} */
    encodedString.codePointAt(i);
  }
  return buf;
};
var utf8TextEncoder = (
  /** @type {TextEncoder} */
  typeof TextEncoder !== "undefined" ? new TextEncoder() : null
);
var _encodeUtf8Native = (str) => utf8TextEncoder.encode(str);
var encodeUtf8 = utf8TextEncoder ? _encodeUtf8Native : _encodeUtf8Polyfill;
var utf8TextDecoder = typeof TextDecoder === "undefined" ? null : new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
if (utf8TextDecoder && utf8TextDecoder.decode(new Uint8Array()).length === 1) {
  utf8TextDecoder = null;
}
var repeat = (source, n) => unfold(n, () => source).join("");

// node_modules/lib0/error.js
var create2 = (s) => new Error(s);
var methodUnimplemented = () => {
  throw create2("Method unimplemented");
};
var unexpectedCase = () => {
  throw create2("Unexpected case");
};

// node_modules/lib0/encoding.js
var Encoder = class {
  constructor() {
    this.cpos = 0;
    this.cbuf = new Uint8Array(100);
    this.bufs = [];
  }
};
var createEncoder = () => new Encoder();
var length = (encoder3) => {
  let len = encoder3.cpos;
  for (let i = 0; i < encoder3.bufs.length; i++) {
    len += encoder3.bufs[i].length;
  }
  return len;
};
var toUint8Array = (encoder3) => {
  const uint8arr = new Uint8Array(length(encoder3));
  let curPos = 0;
  for (let i = 0; i < encoder3.bufs.length; i++) {
    const d = encoder3.bufs[i];
    uint8arr.set(d, curPos);
    curPos += d.length;
  }
  uint8arr.set(new Uint8Array(encoder3.cbuf.buffer, 0, encoder3.cpos), curPos);
  return uint8arr;
};
var verifyLen = (encoder3, len) => {
  const bufferLen = encoder3.cbuf.length;
  if (bufferLen - encoder3.cpos < len) {
    encoder3.bufs.push(new Uint8Array(encoder3.cbuf.buffer, 0, encoder3.cpos));
    encoder3.cbuf = new Uint8Array(max(bufferLen, len) * 2);
    encoder3.cpos = 0;
  }
};
var write = (encoder3, num) => {
  const bufferLen = encoder3.cbuf.length;
  if (encoder3.cpos === bufferLen) {
    encoder3.bufs.push(encoder3.cbuf);
    encoder3.cbuf = new Uint8Array(bufferLen * 2);
    encoder3.cpos = 0;
  }
  encoder3.cbuf[encoder3.cpos++] = num;
};
var writeUint8 = write;
var writeVarUint = (encoder3, num) => {
  while (num > BITS7) {
    write(encoder3, BIT8 | BITS7 & num);
    num = floor(num / 128);
  }
  write(encoder3, BITS7 & num);
};
var writeVarInt = (encoder3, num) => {
  const isNegative = isNegativeZero(num);
  if (isNegative) {
    num = -num;
  }
  write(encoder3, (num > BITS6 ? BIT8 : 0) | (isNegative ? BIT7 : 0) | BITS6 & num);
  num = floor(num / 64);
  while (num > 0) {
    write(encoder3, (num > BITS7 ? BIT8 : 0) | BITS7 & num);
    num = floor(num / 128);
  }
};
var _strBuffer = new Uint8Array(3e4);
var _maxStrBSize = _strBuffer.length / 3;
var _writeVarStringNative = (encoder3, str) => {
  if (str.length < _maxStrBSize) {
    const written = utf8TextEncoder.encodeInto(str, _strBuffer).written || 0;
    writeVarUint(encoder3, written);
    for (let i = 0; i < written; i++) {
      write(encoder3, _strBuffer[i]);
    }
  } else {
    writeVarUint8Array(encoder3, encodeUtf8(str));
  }
};
var _writeVarStringPolyfill = (encoder3, str) => {
  const encodedString = unescape(encodeURIComponent(str));
  const len = encodedString.length;
  writeVarUint(encoder3, len);
  for (let i = 0; i < len; i++) {
    write(
      encoder3,
      /** @type {number} */
      encodedString.codePointAt(i)
    );
  }
};
var writeVarString = utf8TextEncoder && /** @type {any} */
utf8TextEncoder.encodeInto ? _writeVarStringNative : _writeVarStringPolyfill;
var writeUint8Array = (encoder3, uint8Array) => {
  const bufferLen = encoder3.cbuf.length;
  const cpos = encoder3.cpos;
  const leftCopyLen = min(bufferLen - cpos, uint8Array.length);
  const rightCopyLen = uint8Array.length - leftCopyLen;
  encoder3.cbuf.set(uint8Array.subarray(0, leftCopyLen), cpos);
  encoder3.cpos += leftCopyLen;
  if (rightCopyLen > 0) {
    encoder3.bufs.push(encoder3.cbuf);
    encoder3.cbuf = new Uint8Array(max(bufferLen * 2, rightCopyLen));
    encoder3.cbuf.set(uint8Array.subarray(leftCopyLen));
    encoder3.cpos = rightCopyLen;
  }
};
var writeVarUint8Array = (encoder3, uint8Array) => {
  writeVarUint(encoder3, uint8Array.byteLength);
  writeUint8Array(encoder3, uint8Array);
};
var writeOnDataView = (encoder3, len) => {
  verifyLen(encoder3, len);
  const dview = new DataView(encoder3.cbuf.buffer, encoder3.cpos, len);
  encoder3.cpos += len;
  return dview;
};
var writeFloat32 = (encoder3, num) => writeOnDataView(encoder3, 4).setFloat32(0, num, false);
var writeFloat64 = (encoder3, num) => writeOnDataView(encoder3, 8).setFloat64(0, num, false);
var writeBigInt64 = (encoder3, num) => (
  /** @type {any} */
  writeOnDataView(encoder3, 8).setBigInt64(0, num, false)
);
var floatTestBed = new DataView(new ArrayBuffer(4));
var isFloat32 = (num) => {
  floatTestBed.setFloat32(0, num);
  return floatTestBed.getFloat32(0) === num;
};
var writeAny = (encoder3, data) => {
  switch (typeof data) {
    case "string":
      write(encoder3, 119);
      writeVarString(encoder3, data);
      break;
    case "number":
      if (isInteger(data) && abs(data) <= BITS31) {
        write(encoder3, 125);
        writeVarInt(encoder3, data);
      } else if (isFloat32(data)) {
        write(encoder3, 124);
        writeFloat32(encoder3, data);
      } else {
        write(encoder3, 123);
        writeFloat64(encoder3, data);
      }
      break;
    case "bigint":
      write(encoder3, 122);
      writeBigInt64(encoder3, data);
      break;
    case "object":
      if (data === null) {
        write(encoder3, 126);
      } else if (isArray(data)) {
        write(encoder3, 117);
        writeVarUint(encoder3, data.length);
        for (let i = 0; i < data.length; i++) {
          writeAny(encoder3, data[i]);
        }
      } else if (data instanceof Uint8Array) {
        write(encoder3, 116);
        writeVarUint8Array(encoder3, data);
      } else {
        write(encoder3, 118);
        const keys2 = Object.keys(data);
        writeVarUint(encoder3, keys2.length);
        for (let i = 0; i < keys2.length; i++) {
          const key = keys2[i];
          writeVarString(encoder3, key);
          writeAny(encoder3, data[key]);
        }
      }
      break;
    case "boolean":
      write(encoder3, data ? 120 : 121);
      break;
    default:
      write(encoder3, 127);
  }
};
var RleEncoder = class extends Encoder {
  /**
   * @param {function(Encoder, T):void} writer
   */
  constructor(writer) {
    super();
    this.w = writer;
    this.s = null;
    this.count = 0;
  }
  /**
   * @param {T} v
   */
  write(v) {
    if (this.s === v) {
      this.count++;
    } else {
      if (this.count > 0) {
        writeVarUint(this, this.count - 1);
      }
      this.count = 1;
      this.w(this, v);
      this.s = v;
    }
  }
};
var flushUintOptRleEncoder = (encoder3) => {
  if (encoder3.count > 0) {
    writeVarInt(encoder3.encoder, encoder3.count === 1 ? encoder3.s : -encoder3.s);
    if (encoder3.count > 1) {
      writeVarUint(encoder3.encoder, encoder3.count - 2);
    }
  }
};
var UintOptRleEncoder = class {
  constructor() {
    this.encoder = new Encoder();
    this.s = 0;
    this.count = 0;
  }
  /**
   * @param {number} v
   */
  write(v) {
    if (this.s === v) {
      this.count++;
    } else {
      flushUintOptRleEncoder(this);
      this.count = 1;
      this.s = v;
    }
  }
  /**
   * Flush the encoded state and transform this to a Uint8Array.
   *
   * Note that this should only be called once.
   */
  toUint8Array() {
    flushUintOptRleEncoder(this);
    return toUint8Array(this.encoder);
  }
};
var flushIntDiffOptRleEncoder = (encoder3) => {
  if (encoder3.count > 0) {
    const encodedDiff = encoder3.diff * 2 + (encoder3.count === 1 ? 0 : 1);
    writeVarInt(encoder3.encoder, encodedDiff);
    if (encoder3.count > 1) {
      writeVarUint(encoder3.encoder, encoder3.count - 2);
    }
  }
};
var IntDiffOptRleEncoder = class {
  constructor() {
    this.encoder = new Encoder();
    this.s = 0;
    this.count = 0;
    this.diff = 0;
  }
  /**
   * @param {number} v
   */
  write(v) {
    if (this.diff === v - this.s) {
      this.s = v;
      this.count++;
    } else {
      flushIntDiffOptRleEncoder(this);
      this.count = 1;
      this.diff = v - this.s;
      this.s = v;
    }
  }
  /**
   * Flush the encoded state and transform this to a Uint8Array.
   *
   * Note that this should only be called once.
   */
  toUint8Array() {
    flushIntDiffOptRleEncoder(this);
    return toUint8Array(this.encoder);
  }
};
var StringEncoder = class {
  constructor() {
    this.sarr = [];
    this.s = "";
    this.lensE = new UintOptRleEncoder();
  }
  /**
   * @param {string} string
   */
  write(string) {
    this.s += string;
    if (this.s.length > 19) {
      this.sarr.push(this.s);
      this.s = "";
    }
    this.lensE.write(string.length);
  }
  toUint8Array() {
    const encoder3 = new Encoder();
    this.sarr.push(this.s);
    this.s = "";
    writeVarString(encoder3, this.sarr.join(""));
    writeUint8Array(encoder3, this.lensE.toUint8Array());
    return toUint8Array(encoder3);
  }
};

// node_modules/lib0/decoding.js
var errorUnexpectedEndOfArray = create2("Unexpected end of array");
var errorIntegerOutOfRange = create2("Integer out of Range");
var subarray = (arr, begin, len) => {
  if (begin < 0 || len < 0 || begin + len > arr.length) {
    throw errorUnexpectedEndOfArray;
  }
  return new Uint8Array(arr.buffer, arr.byteOffset + begin, len);
};
var subdataview = (arr, begin, len) => {
  if (begin < 0 || len < 0 || begin + len > arr.length) {
    throw errorUnexpectedEndOfArray;
  }
  return new DataView(arr.buffer, arr.byteOffset + begin, len);
};
var Decoder = class {
  /**
   * @param {Uint8Array<Buf>} uint8Array Binary data to decode
   */
  constructor(uint8Array) {
    this.arr = uint8Array;
    this.pos = 0;
  }
};
var createDecoder = (uint8Array) => new Decoder(uint8Array);
var hasContent = (decoder2) => decoder2.pos !== decoder2.arr.length;
var readUint8Array = (decoder2, len) => {
  const view2 = subarray(decoder2.arr, decoder2.pos, len);
  decoder2.pos += len;
  return view2;
};
var readVarUint8Array = (decoder2) => readUint8Array(decoder2, readVarUint(decoder2));
var readTailAsUint8Array = (decoder2) => readUint8Array(decoder2, decoder2.arr.length - decoder2.pos);
var readUint8 = (decoder2) => decoder2.arr[decoder2.pos++];
var readVarUint = (decoder2) => {
  let num = 0;
  let mult = 1;
  const len = decoder2.arr.length;
  while (decoder2.pos < len) {
    const r = decoder2.arr[decoder2.pos++];
    num = num + (r & BITS7) * mult;
    mult *= 128;
    if (r < BIT8) {
      return num;
    }
    if (num > MAX_SAFE_INTEGER) {
      throw errorIntegerOutOfRange;
    }
  }
  throw errorUnexpectedEndOfArray;
};
var readVarInt = (decoder2) => {
  let r = decoder2.arr[decoder2.pos++];
  let num = r & BITS6;
  let mult = 64;
  const sign = (r & BIT7) > 0 ? -1 : 1;
  if ((r & BIT8) === 0) {
    return sign * num;
  }
  const len = decoder2.arr.length;
  while (decoder2.pos < len) {
    r = decoder2.arr[decoder2.pos++];
    num = num + (r & BITS7) * mult;
    mult *= 128;
    if (r < BIT8) {
      return sign * num;
    }
    if (num > MAX_SAFE_INTEGER) {
      throw errorIntegerOutOfRange;
    }
  }
  throw errorUnexpectedEndOfArray;
};
var _readVarStringPolyfill = (decoder2) => {
  let remainingLen = readVarUint(decoder2);
  if (remainingLen === 0) {
    return "";
  } else {
    let encodedString = String.fromCodePoint(readUint8(decoder2));
    if (--remainingLen < 100) {
      while (remainingLen--) {
        encodedString += String.fromCodePoint(readUint8(decoder2));
      }
    } else {
      while (remainingLen > 0) {
        const nextLen = remainingLen < 1e4 ? remainingLen : 1e4;
        const bytes2 = decoder2.arr.subarray(decoder2.pos, decoder2.pos + nextLen);
        decoder2.pos += nextLen;
        encodedString += String.fromCodePoint.apply(
          null,
          /** @type {any} */
          bytes2
        );
        remainingLen -= nextLen;
      }
    }
    return decodeURIComponent(escape(encodedString));
  }
};
var _readVarStringNative = (decoder2) => (
  /** @type any */
  utf8TextDecoder.decode(readVarUint8Array(decoder2))
);
var readVarString = utf8TextDecoder ? _readVarStringNative : _readVarStringPolyfill;
var readFromDataView = (decoder2, len) => {
  const dv = subdataview(decoder2.arr, decoder2.pos, len);
  decoder2.pos += len;
  return dv;
};
var readFloat32 = (decoder2) => readFromDataView(decoder2, 4).getFloat32(0, false);
var readFloat64 = (decoder2) => readFromDataView(decoder2, 8).getFloat64(0, false);
var readBigInt64 = (decoder2) => (
  /** @type {any} */
  readFromDataView(decoder2, 8).getBigInt64(0, false)
);
var readAnyLookupTable = [
  (decoder2) => void 0,
  // CASE 127: undefined
  (decoder2) => null,
  // CASE 126: null
  readVarInt,
  // CASE 125: integer
  readFloat32,
  // CASE 124: float32
  readFloat64,
  // CASE 123: float64
  readBigInt64,
  // CASE 122: bigint
  (decoder2) => false,
  // CASE 121: boolean (false)
  (decoder2) => true,
  // CASE 120: boolean (true)
  readVarString,
  // CASE 119: string
  (decoder2) => {
    const len = readVarUint(decoder2);
    const obj = {};
    for (let i = 0; i < len; i++) {
      const key = readVarString(decoder2);
      obj[key] = readAny(decoder2);
    }
    return obj;
  },
  (decoder2) => {
    const len = readVarUint(decoder2);
    const arr = [];
    for (let i = 0; i < len; i++) {
      arr.push(readAny(decoder2));
    }
    return arr;
  },
  readVarUint8Array
  // CASE 116: Uint8Array
];
var readAny = (decoder2) => readAnyLookupTable[127 - readUint8(decoder2)](decoder2);
var RleDecoder = class extends Decoder {
  /**
   * @param {Uint8Array} uint8Array
   * @param {function(Decoder):T} reader
   */
  constructor(uint8Array, reader) {
    super(uint8Array);
    this.reader = reader;
    this.s = null;
    this.count = 0;
  }
  read() {
    if (this.count === 0) {
      this.s = this.reader(this);
      if (hasContent(this)) {
        this.count = readVarUint(this) + 1;
      } else {
        this.count = -1;
      }
    }
    this.count--;
    return (
      /** @type {T} */
      this.s
    );
  }
};
var UintOptRleDecoder = class extends Decoder {
  /**
   * @param {Uint8Array} uint8Array
   */
  constructor(uint8Array) {
    super(uint8Array);
    this.s = 0;
    this.count = 0;
  }
  read() {
    if (this.count === 0) {
      this.s = readVarInt(this);
      const isNegative = isNegativeZero(this.s);
      this.count = 1;
      if (isNegative) {
        this.s = -this.s;
        this.count = readVarUint(this) + 2;
      }
    }
    this.count--;
    return (
      /** @type {number} */
      this.s
    );
  }
};
var IntDiffOptRleDecoder = class extends Decoder {
  /**
   * @param {Uint8Array} uint8Array
   */
  constructor(uint8Array) {
    super(uint8Array);
    this.s = 0;
    this.count = 0;
    this.diff = 0;
  }
  /**
   * @return {number}
   */
  read() {
    if (this.count === 0) {
      const diff = readVarInt(this);
      const hasCount = diff & 1;
      this.diff = floor(diff / 2);
      this.count = 1;
      if (hasCount) {
        this.count = readVarUint(this) + 2;
      }
    }
    this.s += this.diff;
    this.count--;
    return this.s;
  }
};
var StringDecoder = class {
  /**
   * @param {Uint8Array} uint8Array
   */
  constructor(uint8Array) {
    this.decoder = new UintOptRleDecoder(uint8Array);
    this.str = readVarString(this.decoder);
    this.spos = 0;
  }
  /**
   * @return {string}
   */
  read() {
    const end = this.spos + this.decoder.read();
    const res = this.str.slice(this.spos, end);
    this.spos = end;
    return res;
  }
};

// node_modules/lib0/map.js
var create3 = () => /* @__PURE__ */ new Map();
var copy = (m) => {
  const r = create3();
  m.forEach((v, k) => {
    r.set(k, v);
  });
  return r;
};
var setIfUndefined = (map2, key, createT) => {
  let set = map2.get(key);
  if (set === void 0) {
    map2.set(key, set = createT());
  }
  return set;
};
var map = (m, f) => {
  const res = [];
  for (const [key, value] of m) {
    res.push(f(value, key));
  }
  return res;
};
var any = (m, f) => {
  for (const [key, value] of m) {
    if (f(value, key)) {
      return true;
    }
  }
  return false;
};

// node_modules/lib0/observable.js
var ObservableV2 = class {
  constructor() {
    this._observers = create3();
  }
  /**
   * @template {keyof EVENTS & string} NAME
   * @param {NAME} name
   * @param {EVENTS[NAME]} f
   */
  on(name, f) {
    setIfUndefined(
      this._observers,
      /** @type {string} */
      name,
      create
    ).add(f);
    return f;
  }
  /**
   * @template {keyof EVENTS & string} NAME
   * @param {NAME} name
   * @param {EVENTS[NAME]} f
   */
  once(name, f) {
    const _f = (...args2) => {
      this.off(
        name,
        /** @type {any} */
        _f
      );
      f(...args2);
    };
    this.on(
      name,
      /** @type {any} */
      _f
    );
  }
  /**
   * @template {keyof EVENTS & string} NAME
   * @param {NAME} name
   * @param {EVENTS[NAME]} f
   */
  off(name, f) {
    const observers = this._observers.get(name);
    if (observers !== void 0) {
      observers.delete(f);
      if (observers.size === 0) {
        this._observers.delete(name);
      }
    }
  }
  /**
   * Emit a named event. All registered event listeners that listen to the
   * specified name will receive the event.
   *
   * @todo This should catch exceptions
   *
   * @template {keyof EVENTS & string} NAME
   * @param {NAME} name The event name.
   * @param {Parameters<EVENTS[NAME]>} args The arguments that are applied to the event listener.
   */
  emit(name, args2) {
    return from((this._observers.get(name) || create3()).values()).forEach((f) => f(...args2));
  }
  destroy() {
    this._observers = create3();
  }
};
var Observable = class {
  constructor() {
    this._observers = create3();
  }
  /**
   * @param {N} name
   * @param {function} f
   */
  on(name, f) {
    setIfUndefined(this._observers, name, create).add(f);
  }
  /**
   * @param {N} name
   * @param {function} f
   */
  once(name, f) {
    const _f = (...args2) => {
      this.off(name, _f);
      f(...args2);
    };
    this.on(name, _f);
  }
  /**
   * @param {N} name
   * @param {function} f
   */
  off(name, f) {
    const observers = this._observers.get(name);
    if (observers !== void 0) {
      observers.delete(f);
      if (observers.size === 0) {
        this._observers.delete(name);
      }
    }
  }
  /**
   * Emit a named event. All registered event listeners that listen to the
   * specified name will receive the event.
   *
   * @todo This should catch exceptions
   *
   * @param {N} name The event name.
   * @param {Array<any>} args The arguments that are applied to the event listener.
   */
  emit(name, args2) {
    return from((this._observers.get(name) || create3()).values()).forEach((f) => f(...args2));
  }
  destroy() {
    this._observers = create3();
  }
};

// node_modules/lib0/time.js
var getUnixTime = Date.now;

// node_modules/lib0/trait/equality.js
var EqualityTraitSymbol = /* @__PURE__ */ Symbol("Equality");
var equals = (a, b) => a === b || !!a?.[EqualityTraitSymbol]?.(b) || false;

// node_modules/lib0/object.js
var isObject = (o) => typeof o === "object";
var assign = Object.assign;
var keys = Object.keys;
var forEach = (obj, f) => {
  for (const key in obj) {
    f(obj[key], key);
  }
};
var size = (obj) => keys(obj).length;
var isEmpty = (obj) => {
  for (const _k in obj) {
    return false;
  }
  return true;
};
var every2 = (obj, f) => {
  for (const key in obj) {
    if (!f(obj[key], key)) {
      return false;
    }
  }
  return true;
};
var hasProperty = (obj, key) => Object.prototype.hasOwnProperty.call(obj, key);
var equalFlat = (a, b) => a === b || size(a) === size(b) && every2(a, (val, key) => (val !== void 0 || hasProperty(b, key)) && equals(b[key], val));
var freeze = Object.freeze;
var deepFreeze = (o) => {
  for (const key in o) {
    const c = o[key];
    if (typeof c === "object" || typeof c === "function") {
      deepFreeze(o[key]);
    }
  }
  return freeze(o);
};

// node_modules/lib0/function.js
var callAll = (fs, args2, i = 0) => {
  try {
    for (; i < fs.length; i++) {
      fs[i](...args2);
    }
  } finally {
    if (i < fs.length) {
      callAll(fs, args2, i + 1);
    }
  }
};
var id = (a) => a;
var equalityDeep = (a, b) => {
  if (a === b) {
    return true;
  }
  if (a == null || b == null || a.constructor !== b.constructor && (a.constructor || Object) !== (b.constructor || Object)) {
    return false;
  }
  if (a[EqualityTraitSymbol] != null) {
    return a[EqualityTraitSymbol](b);
  }
  switch (a.constructor) {
    case ArrayBuffer:
      a = new Uint8Array(a);
      b = new Uint8Array(b);
    // eslint-disable-next-line no-fallthrough
    case Uint8Array: {
      if (a.byteLength !== b.byteLength) {
        return false;
      }
      for (let i = 0; i < a.length; i++) {
        if (a[i] !== b[i]) {
          return false;
        }
      }
      break;
    }
    case Set: {
      if (a.size !== b.size) {
        return false;
      }
      for (const value of a) {
        if (!b.has(value)) {
          return false;
        }
      }
      break;
    }
    case Map: {
      if (a.size !== b.size) {
        return false;
      }
      for (const key of a.keys()) {
        if (!b.has(key) || !equalityDeep(a.get(key), b.get(key))) {
          return false;
        }
      }
      break;
    }
    case void 0:
    case Object:
      if (size(a) !== size(b)) {
        return false;
      }
      for (const key in a) {
        if (!hasProperty(a, key) || !equalityDeep(a[key], b[key])) {
          return false;
        }
      }
      break;
    case Array:
      if (a.length !== b.length) {
        return false;
      }
      for (let i = 0; i < a.length; i++) {
        if (!equalityDeep(a[i], b[i])) {
          return false;
        }
      }
      break;
    default:
      return false;
  }
  return true;
};
var isOneOf = (value, options) => options.includes(value);

// node_modules/lib0/webcrypto.js
var subtle = crypto.subtle;
var getRandomValues = crypto.getRandomValues.bind(crypto);

// node_modules/lib0/random.js
var uint32 = () => getRandomValues(new Uint32Array(1))[0];
var uuidv4Template = "10000000-1000-4000-8000" + -1e11;
var uuidv4 = () => uuidv4Template.replace(
  /[018]/g,
  /** @param {number} c */
  (c) => (c ^ uint32() & 15 >> c / 4).toString(16)
);

// node_modules/lib0/promise.js
var create4 = (f) => (
  /** @type {Promise<T>} */
  new Promise(f)
);
var all = Promise.all.bind(Promise);

// node_modules/lib0/conditions.js
var undefinedToNull = (v) => v === void 0 ? null : v;

// node_modules/lib0/storage.js
var VarStoragePolyfill = class {
  constructor() {
    this.map = /* @__PURE__ */ new Map();
  }
  /**
   * @param {string} key
   * @param {any} newValue
   */
  setItem(key, newValue) {
    this.map.set(key, newValue);
  }
  /**
   * @param {string} key
   */
  getItem(key) {
    return this.map.get(key);
  }
};
var _localStorage = new VarStoragePolyfill();
var usePolyfill = true;
try {
  if (typeof window !== "undefined" && typeof localStorage !== "undefined" && localStorage) {
    _localStorage = localStorage;
    usePolyfill = false;
  }
} catch (e) {
}
var varStorage = _localStorage;

// node_modules/lib0/environment.js
var isNode = typeof process !== "undefined" && process.release && /node|io\.js/.test(process.release.name) && Object.prototype.toString.call(typeof process !== "undefined" ? process : 0) === "[object process]";
var isMac = typeof navigator !== "undefined" ? /Mac/.test(navigator.platform) : false;
var params;
var args = [];
var computeParams = () => {
  if (params === void 0) {
    if (isNode) {
      params = create3();
      const pargs = process.argv;
      let currParamName = null;
      for (let i = 0; i < pargs.length; i++) {
        const parg = pargs[i];
        if (parg[0] === "-") {
          if (currParamName !== null) {
            params.set(currParamName, "");
          }
          currParamName = parg;
        } else {
          if (currParamName !== null) {
            params.set(currParamName, parg);
            currParamName = null;
          } else {
            args.push(parg);
          }
        }
      }
      if (currParamName !== null) {
        params.set(currParamName, "");
      }
    } else if (typeof location === "object") {
      params = create3();
      (location.search || "?").slice(1).split("&").forEach((kv) => {
        if (kv.length !== 0) {
          const [key, value] = kv.split("=");
          params.set(`--${fromCamelCase(key, "-")}`, value);
          params.set(`-${fromCamelCase(key, "-")}`, value);
        }
      });
    } else {
      params = create3();
    }
  }
  return params;
};
var hasParam = (name) => computeParams().has(name);
var getVariable = (name) => isNode ? undefinedToNull(process.env[name.toUpperCase().replaceAll("-", "_")]) : undefinedToNull(varStorage.getItem(name));
var hasConf = (name) => hasParam("--" + name) || getVariable(name) !== null;
var production = hasConf("production");
var forceColor = isNode && isOneOf(process.env.FORCE_COLOR, ["true", "1", "2"]);
var supportsColor = forceColor || !hasParam("--no-colors") && // @todo deprecate --no-colors
!hasConf("no-color") && (!isNode || process.stdout.isTTY) && (!isNode || hasParam("--color") || getVariable("COLORTERM") !== null || (getVariable("TERM") || "").includes("color"));

// node_modules/lib0/buffer.js
var createUint8ArrayFromLen = (len) => new Uint8Array(len);
var copyUint8Array = (uint8Array) => {
  const newBuf = createUint8ArrayFromLen(uint8Array.byteLength);
  newBuf.set(uint8Array);
  return newBuf;
};

// node_modules/lib0/pair.js
var Pair = class {
  /**
   * @param {L} left
   * @param {R} right
   */
  constructor(left, right) {
    this.left = left;
    this.right = right;
  }
};
var create5 = (left, right) => new Pair(left, right);

// node_modules/lib0/prng.js
var bool = (gen) => gen.next() >= 0.5;
var int53 = (gen, min2, max2) => floor(gen.next() * (max2 + 1 - min2) + min2);
var int32 = (gen, min2, max2) => floor(gen.next() * (max2 + 1 - min2) + min2);
var int31 = (gen, min2, max2) => int32(gen, min2, max2);
var letter = (gen) => fromCharCode(int31(gen, 97, 122));
var word = (gen, minLen = 0, maxLen = 20) => {
  const len = int31(gen, minLen, maxLen);
  let str = "";
  for (let i = 0; i < len; i++) {
    str += letter(gen);
  }
  return str;
};
var oneOf = (gen, array) => array[int31(gen, 0, array.length - 1)];

// node_modules/lib0/schema.js
var schemaSymbol = /* @__PURE__ */ Symbol("0schema");
var ValidationError = class {
  constructor() {
    this._rerrs = [];
  }
  /**
   * @param {string?} path
   * @param {string} expected
   * @param {string} has
   * @param {string?} message
   */
  extend(path, expected, has, message = null) {
    this._rerrs.push({ path, expected, has, message });
  }
  toString() {
    const s = [];
    for (let i = this._rerrs.length - 1; i > 0; i--) {
      const r = this._rerrs[i];
      s.push(repeat(" ", (this._rerrs.length - i) * 2) + `${r.path != null ? `[${r.path}] ` : ""}${r.has} doesn't match ${r.expected}. ${r.message}`);
    }
    return s.join("\n");
  }
};
var shapeExtends = (a, b) => {
  if (a === b) return true;
  if (a == null || b == null || a.constructor !== b.constructor) return false;
  if (a[EqualityTraitSymbol]) return equals(a, b);
  if (isArray(a)) {
    return every(
      a,
      (aitem) => some(b, (bitem) => shapeExtends(aitem, bitem))
    );
  } else if (isObject(a)) {
    return every2(
      a,
      (aitem, akey) => shapeExtends(aitem, b[akey])
    );
  }
  return false;
};
var Schema = class {
  // this.shape must not be defined on Schema. Otherwise typecheck on metatypes (e.g. $$object) won't work as expected anymore
  /**
   * If true, the more things are added to the shape the more objects this schema will accept (e.g.
   * union). By default, the more objects are added, the the fewer objects this schema will accept.
   * @protected
   */
  static _dilutes = false;
  /**
   * @param {Schema<any>} other
   */
  extends(other) {
    let [a, b] = [
      /** @type {any} */
      this.shape,
      /** @type {any} */
      other.shape
    ];
    if (
      /** @type {typeof Schema<any>} */
      this.constructor._dilutes
    ) [b, a] = [a, b];
    return shapeExtends(a, b);
  }
  /**
   * Overwrite this when necessary. By default, we only check the `shape` property which every shape
   * should have.
   * @param {Schema<any>} other
   */
  equals(other) {
    return this.constructor === other.constructor && equalityDeep(this.shape, other.shape);
  }
  [schemaSymbol]() {
    return true;
  }
  /**
   * @param {object} other
   */
  [EqualityTraitSymbol](other) {
    return this.equals(
      /** @type {any} */
      other
    );
  }
  /**
   * Use `schema.validate(obj)` with a typed parameter that is already of typed to be an instance of
   * Schema. Validate will check the structure of the parameter and return true iff the instance
   * really is an instance of Schema.
   *
   * @param {T} o
   * @return {boolean}
   */
  validate(o) {
    return this.check(o);
  }
  /* c8 ignore start */
  /**
   * Similar to validate, but this method accepts untyped parameters.
   *
   * @param {any} _o
   * @param {ValidationError} [_err]
   * @return {_o is T}
   */
  check(_o, _err) {
    methodUnimplemented();
  }
  /* c8 ignore stop */
  /**
   * @type {Schema<T?>}
   */
  get nullable() {
    return $union(this, $null);
  }
  /**
   * @type {$Optional<Schema<T>>}
   */
  get optional() {
    return new $Optional(
      /** @type {Schema<T>} */
      this
    );
  }
  /**
   * Cast a variable to a specific type. Returns the casted value, or throws an exception otherwise.
   * Use this if you know that the type is of a specific type and you just want to convince the type
   * system.
   *
   * **Do not rely on these error messages!**
   * Performs an assertion check only if not in a production environment.
   *
   * @template OO
   * @param {OO} o
   * @return {Extract<OO, T> extends never ? T : (OO extends Array<never> ? T : Extract<OO,T>)}
   */
  cast(o) {
    assert(o, this);
    return (
      /** @type {any} */
      o
    );
  }
  /**
   * EXPECTO PATRONUM!! 🪄
   * This function protects against type errors. Though it may not work in the real world.
   *
   * "After all this time?"
   * "Always." - Snape, talking about type safety
   *
   * Ensures that a variable is a a specific type. Returns the value, or throws an exception if the assertion check failed.
   * Use this if you know that the type is of a specific type and you just want to convince the type
   * system.
   *
   * Can be useful when defining lambdas: `s.lambda(s.$number, s.$void).expect((n) => n + 1)`
   *
   * **Do not rely on these error messages!**
   * Performs an assertion check if not in a production environment.
   *
   * @param {T} o
   * @return {o extends T ? T : never}
   */
  expect(o) {
    assert(o, this);
    return o;
  }
};
var $ConstructedBy = class extends Schema {
  /**
   * @param {C} c
   * @param {((o:Instance<C>)=>boolean)|null} check
   */
  constructor(c, check) {
    super();
    this.shape = c;
    this._c = check;
  }
  /**
   * @param {any} o
   * @param {ValidationError} [err]
   * @return {o is C extends ((...args:any[]) => infer T) ? T : (C extends (new (...args:any[]) => any) ? InstanceType<C> : never)} o
   */
  check(o, err = void 0) {
    const c = o?.constructor === this.shape && (this._c == null || this._c(o));
    !c && err?.extend(null, this.shape.name, o?.constructor.name, o?.constructor !== this.shape ? "Constructor match failed" : "Check failed");
    return c;
  }
};
var $constructedBy = (c, check = null) => new $ConstructedBy(c, check);
var $$constructedBy = $constructedBy($ConstructedBy);
var $Custom = class extends Schema {
  /**
   * @param {(o:any) => boolean} check
   */
  constructor(check) {
    super();
    this.shape = check;
  }
  /**
   * @param {any} o
   * @param {ValidationError} err
   * @return {o is any}
   */
  check(o, err) {
    const c = this.shape(o);
    !c && err?.extend(null, "custom prop", o?.constructor.name, "failed to check custom prop");
    return c;
  }
};
var $custom = (check) => new $Custom(check);
var $$custom = $constructedBy($Custom);
var $Literal = class extends Schema {
  /**
   * @param {Array<T>} literals
   */
  constructor(literals) {
    super();
    this.shape = literals;
  }
  /**
   *
   * @param {any} o
   * @param {ValidationError} [err]
   * @return {o is T}
   */
  check(o, err) {
    const c = this.shape.some((a) => a === o);
    !c && err?.extend(null, this.shape.join(" | "), o.toString());
    return c;
  }
};
var $literal = (...literals) => new $Literal(literals);
var $$literal = $constructedBy($Literal);
var _regexEscape = (
  /** @type {any} */
  RegExp.escape || /** @type {(str:string) => string} */
  ((str) => str.replace(/[().|&,$^[\]]/g, (s) => "\\" + s))
);
var _schemaStringTemplateToRegex = (s) => {
  if ($string.check(s)) {
    return [_regexEscape(s)];
  }
  if ($$literal.check(s)) {
    return (
      /** @type {Array<string|number>} */
      s.shape.map((v) => v + "")
    );
  }
  if ($$number.check(s)) {
    return ["[+-]?\\d+.?\\d*"];
  }
  if ($$string.check(s)) {
    return [".*"];
  }
  if ($$union.check(s)) {
    return s.shape.map(_schemaStringTemplateToRegex).flat(1);
  }
  unexpectedCase();
};
var $StringTemplate = class extends Schema {
  /**
   * @param {T} shape
   */
  constructor(shape) {
    super();
    this.shape = shape;
    this._r = new RegExp("^" + shape.map(_schemaStringTemplateToRegex).map((opts) => `(${opts.join("|")})`).join("") + "$");
  }
  /**
   * @param {any} o
   * @param {ValidationError} [err]
   * @return {o is CastStringTemplateArgsToTemplate<T>}
   */
  check(o, err) {
    const c = this._r.exec(o) != null;
    !c && err?.extend(null, this._r.toString(), o.toString(), "String doesn't match string template.");
    return c;
  }
};
var $$stringTemplate = $constructedBy($StringTemplate);
var isOptionalSymbol = /* @__PURE__ */ Symbol("optional");
var $Optional = class extends Schema {
  /**
   * @param {S} shape
   */
  constructor(shape) {
    super();
    this.shape = shape;
  }
  /**
   * @param {any} o
   * @param {ValidationError} [err]
   * @return {o is (Unwrap<S>|undefined)}
   */
  check(o, err) {
    const c = o === void 0 || this.shape.check(o);
    !c && err?.extend(null, "undefined (optional)", "()");
    return c;
  }
  get [isOptionalSymbol]() {
    return true;
  }
};
var $$optional = $constructedBy($Optional);
var $Never = class extends Schema {
  /**
   * @param {any} _o
   * @param {ValidationError} [err]
   * @return {_o is never}
   */
  check(_o, err) {
    err?.extend(null, "never", typeof _o);
    return false;
  }
};
var $never = new $Never();
var $$never = $constructedBy($Never);
var $Object = class _$Object extends Schema {
  /**
   * @param {S} shape
   * @param {boolean} partial
   */
  constructor(shape, partial = false) {
    super();
    this.shape = shape;
    this._isPartial = partial;
  }
  static _dilutes = true;
  /**
   * @type {Schema<Partial<$ObjectToType<S>>>}
   */
  get partial() {
    return new _$Object(this.shape, true);
  }
  /**
   * @param {any} o
   * @param {ValidationError} err
   * @return {o is $ObjectToType<S>}
   */
  check(o, err) {
    if (o == null) {
      err?.extend(null, "object", "null");
      return false;
    }
    return every2(this.shape, (vv, vk) => {
      const c = this._isPartial && !hasProperty(o, vk) || vv.check(o[vk], err);
      !c && err?.extend(vk.toString(), vv.toString(), typeof o[vk], "Object property does not match");
      return c;
    });
  }
};
var $object = (def) => (
  /** @type {any} */
  new $Object(def)
);
var $$object = $constructedBy($Object);
var $objectAny = $custom((o) => o != null && (o.constructor === Object || o.constructor == null));
var $Record = class extends Schema {
  /**
   * @param {Keys} keys
   * @param {Values} values
   */
  constructor(keys2, values) {
    super();
    this.shape = {
      keys: keys2,
      values
    };
  }
  /**
   * @param {any} o
   * @param {ValidationError} err
   * @return {o is { [key in Unwrap<Keys>]: Unwrap<Values> }}
   */
  check(o, err) {
    return o != null && every2(o, (vv, vk) => {
      const ck = this.shape.keys.check(vk, err);
      !ck && err?.extend(vk + "", "Record", typeof o, ck ? "Key doesn't match schema" : "Value doesn't match value");
      return ck && this.shape.values.check(vv, err);
    });
  }
};
var $record = (keys2, values) => new $Record(keys2, values);
var $$record = $constructedBy($Record);
var $Tuple = class extends Schema {
  /**
   * @param {S} shape
   */
  constructor(shape) {
    super();
    this.shape = shape;
  }
  /**
   * @param {any} o
   * @param {ValidationError} err
   * @return {o is { [K in keyof S]: S[K] extends Schema<infer Type> ? Type : never }}
   */
  check(o, err) {
    return o != null && every2(this.shape, (vv, vk) => {
      const c = (
        /** @type {Schema<any>} */
        vv.check(o[vk], err)
      );
      !c && err?.extend(vk.toString(), "Tuple", typeof vv);
      return c;
    });
  }
};
var $tuple = (...def) => new $Tuple(def);
var $$tuple = $constructedBy($Tuple);
var $Array = class extends Schema {
  /**
   * @param {Array<S>} v
   */
  constructor(v) {
    super();
    this.shape = v.length === 1 ? v[0] : new $Union(v);
  }
  /**
   * @param {any} o
   * @param {ValidationError} [err]
   * @return {o is Array<S extends Schema<infer T> ? T : never>} o
   */
  check(o, err) {
    const c = isArray(o) && every(o, (oi) => this.shape.check(oi));
    !c && err?.extend(null, "Array", "");
    return c;
  }
};
var $array = (...def) => new $Array(def);
var $$array = $constructedBy($Array);
var $arrayAny = $custom((o) => isArray(o));
var $InstanceOf = class extends Schema {
  /**
   * @param {new (...args:any) => T} constructor
   * @param {((o:T) => boolean)|null} check
   */
  constructor(constructor, check) {
    super();
    this.shape = constructor;
    this._c = check;
  }
  /**
   * @param {any} o
   * @param {ValidationError} err
   * @return {o is T}
   */
  check(o, err) {
    const c = o instanceof this.shape && (this._c == null || this._c(o));
    !c && err?.extend(null, this.shape.name, o?.constructor.name);
    return c;
  }
};
var $instanceOf = (c, check = null) => new $InstanceOf(c, check);
var $$instanceOf = $constructedBy($InstanceOf);
var $$schema = $instanceOf(Schema);
var $Lambda = class extends Schema {
  /**
   * @param {Args} args
   */
  constructor(args2) {
    super();
    this.len = args2.length - 1;
    this.args = $tuple(...args2.slice(-1));
    this.res = args2[this.len];
  }
  /**
   * @param {any} f
   * @param {ValidationError} err
   * @return {f is _LArgsToLambdaDef<Args>}
   */
  check(f, err) {
    const c = f.constructor === Function && f.length <= this.len;
    !c && err?.extend(null, "function", typeof f);
    return c;
  }
};
var $$lambda = $constructedBy($Lambda);
var $function = $custom((o) => typeof o === "function");
var $Intersection = class extends Schema {
  /**
   * @param {T} v
   */
  constructor(v) {
    super();
    this.shape = v;
  }
  /**
   * @param {any} o
   * @param {ValidationError} [err]
   * @return {o is Intersect<UnwrapArray<T>>}
   */
  check(o, err) {
    const c = every(this.shape, (check) => check.check(o, err));
    !c && err?.extend(null, "Intersectinon", typeof o);
    return c;
  }
};
var $$intersect = $constructedBy($Intersection, (o) => o.shape.length > 0);
var $Union = class extends Schema {
  static _dilutes = true;
  /**
   * @param {Array<Schema<S>>} v
   */
  constructor(v) {
    super();
    this.shape = v;
  }
  /**
   * @param {any} o
   * @param {ValidationError} [err]
   * @return {o is S}
   */
  check(o, err) {
    const c = some(this.shape, (vv) => vv.check(o, err));
    err?.extend(null, "Union", typeof o);
    return c;
  }
};
var $union = (...schemas) => schemas.findIndex(($s) => $$union.check($s)) >= 0 ? $union(...schemas.map(($s) => $($s)).map(($s) => $$union.check($s) ? $s.shape : [$s]).flat(1)) : schemas.length === 1 ? schemas[0] : new $Union(schemas);
var $$union = (
  /** @type {Schema<$Union<any>>} */
  $constructedBy($Union)
);
var _t = () => true;
var $any = $custom(_t);
var $$any = (
  /** @type {Schema<Schema<any>>} */
  $constructedBy($Custom, (o) => o.shape === _t)
);
var $bigint = $custom((o) => typeof o === "bigint");
var $$bigint = (
  /** @type {Schema<Schema<BigInt>>} */
  $custom((o) => o === $bigint)
);
var $symbol = $custom((o) => typeof o === "symbol");
var $$symbol = (
  /** @type {Schema<Schema<Symbol>>} */
  $custom((o) => o === $symbol)
);
var $number = $custom((o) => typeof o === "number");
var $$number = (
  /** @type {Schema<Schema<number>>} */
  $custom((o) => o === $number)
);
var $string = $custom((o) => typeof o === "string");
var $$string = (
  /** @type {Schema<Schema<string>>} */
  $custom((o) => o === $string)
);
var $boolean = $custom((o) => typeof o === "boolean");
var $$boolean = (
  /** @type {Schema<Schema<Boolean>>} */
  $custom((o) => o === $boolean)
);
var $undefined = $literal(void 0);
var $$undefined = (
  /** @type {Schema<Schema<undefined>>} */
  $constructedBy($Literal, (o) => o.shape.length === 1 && o.shape[0] === void 0)
);
var $void = $literal(void 0);
var $null = $literal(null);
var $$null = (
  /** @type {Schema<Schema<null>>} */
  $constructedBy($Literal, (o) => o.shape.length === 1 && o.shape[0] === null)
);
var $uint8Array = $constructedBy(Uint8Array);
var $$uint8Array = (
  /** @type {Schema<Schema<Uint8Array>>} */
  $constructedBy($ConstructedBy, (o) => o.shape === Uint8Array)
);
var $primitive = $union($number, $string, $null, $undefined, $bigint, $boolean, $symbol);
var $json = (() => {
  const $jsonArr = (
    /** @type {$Array<$any>} */
    $array($any)
  );
  const $jsonRecord = (
    /** @type {$Record<$string,$any>} */
    $record($string, $any)
  );
  const $json2 = $union($number, $string, $null, $boolean, $jsonArr, $jsonRecord);
  $jsonArr.shape = $json2;
  $jsonRecord.shape.values = $json2;
  return $json2;
})();
var $ = (o) => {
  if ($$schema.check(o)) {
    return (
      /** @type {any} */
      o
    );
  } else if ($objectAny.check(o)) {
    const o2 = {};
    for (const k in o) {
      o2[k] = $(o[k]);
    }
    return (
      /** @type {any} */
      $object(o2)
    );
  } else if ($arrayAny.check(o)) {
    return (
      /** @type {any} */
      $union(...o.map($))
    );
  } else if ($primitive.check(o)) {
    return (
      /** @type {any} */
      $literal(o)
    );
  } else if ($function.check(o)) {
    return (
      /** @type {any} */
      $constructedBy(
        /** @type {any} */
        o
      )
    );
  }
  unexpectedCase();
};
var assert = production ? () => {
} : (o, schema) => {
  const err = new ValidationError();
  if (!schema.check(o, err)) {
    throw create2(`Expected value to be of type ${schema.constructor.name}.
${err.toString()}`);
  }
};
var PatternMatcher = class {
  /**
   * @param {Schema<State>} [$state]
   */
  constructor($state) {
    this.patterns = [];
    this.$state = $state;
  }
  /**
   * @template P
   * @template R
   * @param {P} pattern
   * @param {(o:NoInfer<Unwrap<ReadSchema<P>>>,s:State)=>R} handler
   * @return {PatternMatcher<State,Patterns|Pattern<Unwrap<ReadSchema<P>>,R>>}
   */
  if(pattern, handler) {
    this.patterns.push({ if: $(pattern), h: handler });
    return this;
  }
  /**
   * @template R
   * @param {(o:any,s:State)=>R} h
   */
  else(h) {
    return this.if($any, h);
  }
  /**
   * @return {State extends undefined
   *   ? <In extends Unwrap<Patterns['if']>>(o:In,state?:undefined)=>PatternMatchResult<Patterns,In>
   *   : <In extends Unwrap<Patterns['if']>>(o:In,state:State)=>PatternMatchResult<Patterns,In>}
   */
  done() {
    return (
      /** @type {any} */
      (o, s) => {
        for (let i = 0; i < this.patterns.length; i++) {
          const p = this.patterns[i];
          if (p.if.check(o)) {
            return p.h(o, s);
          }
        }
        throw create2("Unhandled pattern");
      }
    );
  }
};
var match = (state) => new PatternMatcher(
  /** @type {any} */
  state
);
var _random = (
  /** @type {any} */
  match(
    /** @type {Schema<prng.PRNG>} */
    $any
  ).if($$number, (_o, gen) => int53(gen, MIN_SAFE_INTEGER, MAX_SAFE_INTEGER)).if($$string, (_o, gen) => word(gen)).if($$boolean, (_o, gen) => bool(gen)).if($$bigint, (_o, gen) => BigInt(int53(gen, MIN_SAFE_INTEGER, MAX_SAFE_INTEGER))).if($$union, (o, gen) => random(gen, oneOf(gen, o.shape))).if($$object, (o, gen) => {
    const res = {};
    for (const k in o.shape) {
      let prop = o.shape[k];
      if ($$optional.check(prop)) {
        if (bool(gen)) {
          continue;
        }
        prop = prop.shape;
      }
      res[k] = _random(prop, gen);
    }
    return res;
  }).if($$array, (o, gen) => {
    const arr = [];
    const n = int32(gen, 0, 42);
    for (let i = 0; i < n; i++) {
      arr.push(random(gen, o.shape));
    }
    return arr;
  }).if($$literal, (o, gen) => {
    return oneOf(gen, o.shape);
  }).if($$null, (o, gen) => {
    return null;
  }).if($$lambda, (o, gen) => {
    const res = random(gen, o.res);
    return () => res;
  }).if($$any, (o, gen) => random(gen, oneOf(gen, [
    $number,
    $string,
    $null,
    $undefined,
    $bigint,
    $boolean,
    $array($number),
    $record($union("a", "b", "c"), $number)
  ]))).if($$record, (o, gen) => {
    const res = {};
    const keysN = int53(gen, 0, 3);
    for (let i = 0; i < keysN; i++) {
      const key = random(gen, o.shape.keys);
      const val = random(gen, o.shape.values);
      res[key] = val;
    }
    return res;
  }).done()
);
var random = (gen, schema) => (
  /** @type {any} */
  _random($(schema), gen)
);

// node_modules/lib0/dom.js
var doc = (
  /** @type {Document} */
  typeof document !== "undefined" ? document : {}
);
var $fragment = $custom((el) => el.nodeType === DOCUMENT_FRAGMENT_NODE);
var domParser = (
  /** @type {DOMParser} */
  typeof DOMParser !== "undefined" ? new DOMParser() : null
);
var $element = $custom((el) => el.nodeType === ELEMENT_NODE);
var $text = $custom((el) => el.nodeType === TEXT_NODE);
var mapToStyleString = (m) => map(m, (value, key) => `${key}:${value};`).join("");
var ELEMENT_NODE = doc.ELEMENT_NODE;
var TEXT_NODE = doc.TEXT_NODE;
var CDATA_SECTION_NODE = doc.CDATA_SECTION_NODE;
var COMMENT_NODE = doc.COMMENT_NODE;
var DOCUMENT_NODE = doc.DOCUMENT_NODE;
var DOCUMENT_TYPE_NODE = doc.DOCUMENT_TYPE_NODE;
var DOCUMENT_FRAGMENT_NODE = doc.DOCUMENT_FRAGMENT_NODE;
var $node = $custom((el) => el.nodeType === DOCUMENT_NODE);

// node_modules/lib0/symbol.js
var create6 = Symbol;

// node_modules/lib0/logging.common.js
var BOLD = create6();
var UNBOLD = create6();
var BLUE = create6();
var GREY = create6();
var GREEN = create6();
var RED = create6();
var PURPLE = create6();
var ORANGE = create6();
var UNCOLOR = create6();
var computeNoColorLoggingArgs = (args2) => {
  if (args2.length === 1 && args2[0]?.constructor === Function) {
    args2 = /** @type {Array<string|Symbol|Object|number>} */
    /** @type {[function]} */
    args2[0]();
  }
  const strBuilder = [];
  const logArgs = [];
  let i = 0;
  for (; i < args2.length; i++) {
    const arg = args2[i];
    if (arg === void 0) {
      break;
    } else if (arg.constructor === String || arg.constructor === Number) {
      strBuilder.push(arg);
    } else if (arg.constructor === Object) {
      break;
    }
  }
  if (i > 0) {
    logArgs.push(strBuilder.join(""));
  }
  for (; i < args2.length; i++) {
    const arg = args2[i];
    if (!(arg instanceof Symbol)) {
      logArgs.push(arg);
    }
  }
  return logArgs;
};
var lastLoggingTime = getUnixTime();

// node_modules/lib0/logging.js
var _browserStyleMap = {
  [BOLD]: create5("font-weight", "bold"),
  [UNBOLD]: create5("font-weight", "normal"),
  [BLUE]: create5("color", "blue"),
  [GREEN]: create5("color", "green"),
  [GREY]: create5("color", "grey"),
  [RED]: create5("color", "red"),
  [PURPLE]: create5("color", "purple"),
  [ORANGE]: create5("color", "orange"),
  // not well supported in chrome when debugging node with inspector - TODO: deprecate
  [UNCOLOR]: create5("color", "black")
};
var computeBrowserLoggingArgs = (args2) => {
  if (args2.length === 1 && args2[0]?.constructor === Function) {
    args2 = /** @type {Array<string|Symbol|Object|number>} */
    /** @type {[function]} */
    args2[0]();
  }
  const strBuilder = [];
  const styles = [];
  const currentStyle = create3();
  let logArgs = [];
  let i = 0;
  for (; i < args2.length; i++) {
    const arg = args2[i];
    const style = _browserStyleMap[arg];
    if (style !== void 0) {
      currentStyle.set(style.left, style.right);
    } else {
      if (arg === void 0) {
        break;
      }
      if (arg.constructor === String || arg.constructor === Number) {
        const style2 = mapToStyleString(currentStyle);
        if (i > 0 || style2.length > 0) {
          strBuilder.push("%c" + arg);
          styles.push(style2);
        } else {
          strBuilder.push(arg);
        }
      } else {
        break;
      }
    }
  }
  if (i > 0) {
    logArgs = styles;
    logArgs.unshift(strBuilder.join(""));
  }
  for (; i < args2.length; i++) {
    const arg = args2[i];
    if (!(arg instanceof Symbol)) {
      logArgs.push(arg);
    }
  }
  return logArgs;
};
var computeLoggingArgs = supportsColor ? computeBrowserLoggingArgs : computeNoColorLoggingArgs;
var print = (...args2) => {
  console.log(...computeLoggingArgs(args2));
  vconsoles.forEach((vc) => vc.print(args2));
};
var warn = (...args2) => {
  console.warn(...computeLoggingArgs(args2));
  args2.unshift(ORANGE);
  vconsoles.forEach((vc) => vc.print(args2));
};
var vconsoles = create();

// node_modules/lib0/iterator.js
var createIterator = (next) => ({
  /**
   * @return {IterableIterator<T>}
   */
  [Symbol.iterator]() {
    return this;
  },
  // @ts-ignore
  next
});
var iteratorFilter = (iterator, filter) => createIterator(() => {
  let res;
  do {
    res = iterator.next();
  } while (!res.done && !filter(res.value));
  return res;
});
var iteratorMap = (iterator, fmap) => createIterator(() => {
  const { done, value } = iterator.next();
  return { done, value: done ? void 0 : fmap(value) };
});

// node_modules/yjs/dist/yjs.mjs
var DeleteItem = class {
  /**
   * @param {number} clock
   * @param {number} len
   */
  constructor(clock, len) {
    this.clock = clock;
    this.len = len;
  }
};
var DeleteSet = class {
  constructor() {
    this.clients = /* @__PURE__ */ new Map();
  }
};
var iterateDeletedStructs = (transaction, ds, f) => ds.clients.forEach((deletes, clientid) => {
  const structs = (
    /** @type {Array<GC|Item>} */
    transaction.doc.store.clients.get(clientid)
  );
  if (structs != null) {
    const lastStruct = structs[structs.length - 1];
    const clockState = lastStruct.id.clock + lastStruct.length;
    for (let i = 0, del = deletes[i]; i < deletes.length && del.clock < clockState; del = deletes[++i]) {
      iterateStructs(transaction, structs, del.clock, del.len, f);
    }
  }
});
var findIndexDS = (dis, clock) => {
  let left = 0;
  let right = dis.length - 1;
  while (left <= right) {
    const midindex = floor((left + right) / 2);
    const mid = dis[midindex];
    const midclock = mid.clock;
    if (midclock <= clock) {
      if (clock < midclock + mid.len) {
        return midindex;
      }
      left = midindex + 1;
    } else {
      right = midindex - 1;
    }
  }
  return null;
};
var isDeleted = (ds, id2) => {
  const dis = ds.clients.get(id2.client);
  return dis !== void 0 && findIndexDS(dis, id2.clock) !== null;
};
var sortAndMergeDeleteSet = (ds) => {
  ds.clients.forEach((dels) => {
    dels.sort((a, b) => a.clock - b.clock);
    let i, j;
    for (i = 1, j = 1; i < dels.length; i++) {
      const left = dels[j - 1];
      const right = dels[i];
      if (left.clock + left.len >= right.clock) {
        dels[j - 1] = new DeleteItem(left.clock, max(left.len, right.clock + right.len - left.clock));
      } else {
        if (j < i) {
          dels[j] = right;
        }
        j++;
      }
    }
    dels.length = j;
  });
};
var mergeDeleteSets = (dss) => {
  const merged2 = new DeleteSet();
  for (let dssI = 0; dssI < dss.length; dssI++) {
    dss[dssI].clients.forEach((delsLeft, client) => {
      if (!merged2.clients.has(client)) {
        const dels = delsLeft.slice();
        for (let i = dssI + 1; i < dss.length; i++) {
          appendTo(dels, dss[i].clients.get(client) || []);
        }
        merged2.clients.set(client, dels);
      }
    });
  }
  sortAndMergeDeleteSet(merged2);
  return merged2;
};
var addToDeleteSet = (ds, client, clock, length2) => {
  setIfUndefined(ds.clients, client, () => (
    /** @type {Array<DeleteItem>} */
    []
  )).push(new DeleteItem(clock, length2));
};
var createDeleteSet = () => new DeleteSet();
var createDeleteSetFromStructStore = (ss) => {
  const ds = createDeleteSet();
  ss.clients.forEach((structs, client) => {
    const dsitems = [];
    for (let i = 0; i < structs.length; i++) {
      const struct = structs[i];
      if (struct.deleted) {
        const clock = struct.id.clock;
        let len = struct.length;
        if (i + 1 < structs.length) {
          for (let next = structs[i + 1]; i + 1 < structs.length && next.deleted; next = structs[++i + 1]) {
            len += next.length;
          }
        }
        dsitems.push(new DeleteItem(clock, len));
      }
    }
    if (dsitems.length > 0) {
      ds.clients.set(client, dsitems);
    }
  });
  return ds;
};
var writeDeleteSet = (encoder3, ds) => {
  writeVarUint(encoder3.restEncoder, ds.clients.size);
  from(ds.clients.entries()).sort((a, b) => b[0] - a[0]).forEach(([client, dsitems]) => {
    encoder3.resetDsCurVal();
    writeVarUint(encoder3.restEncoder, client);
    const len = dsitems.length;
    writeVarUint(encoder3.restEncoder, len);
    for (let i = 0; i < len; i++) {
      const item = dsitems[i];
      encoder3.writeDsClock(item.clock);
      encoder3.writeDsLen(item.len);
    }
  });
};
var readDeleteSet = (decoder2) => {
  const ds = new DeleteSet();
  const numClients = readVarUint(decoder2.restDecoder);
  for (let i = 0; i < numClients; i++) {
    decoder2.resetDsCurVal();
    const client = readVarUint(decoder2.restDecoder);
    const numberOfDeletes = readVarUint(decoder2.restDecoder);
    if (numberOfDeletes > 0) {
      const dsField = setIfUndefined(ds.clients, client, () => (
        /** @type {Array<DeleteItem>} */
        []
      ));
      for (let i2 = 0; i2 < numberOfDeletes; i2++) {
        dsField.push(new DeleteItem(decoder2.readDsClock(), decoder2.readDsLen()));
      }
    }
  }
  return ds;
};
var readAndApplyDeleteSet = (decoder2, transaction, store) => {
  const unappliedDS = new DeleteSet();
  const numClients = readVarUint(decoder2.restDecoder);
  for (let i = 0; i < numClients; i++) {
    decoder2.resetDsCurVal();
    const client = readVarUint(decoder2.restDecoder);
    const numberOfDeletes = readVarUint(decoder2.restDecoder);
    const structs = store.clients.get(client) || [];
    const state = getState(store, client);
    for (let i2 = 0; i2 < numberOfDeletes; i2++) {
      const clock = decoder2.readDsClock();
      const clockEnd = clock + decoder2.readDsLen();
      if (clock < state) {
        if (state < clockEnd) {
          addToDeleteSet(unappliedDS, client, state, clockEnd - state);
        }
        let index = findIndexSS(structs, clock);
        let struct = structs[index];
        if (!struct.deleted && struct.id.clock < clock) {
          structs.splice(index + 1, 0, splitItem(transaction, struct, clock - struct.id.clock));
          index++;
        }
        while (index < structs.length) {
          struct = structs[index++];
          if (struct.id.clock < clockEnd) {
            if (!struct.deleted) {
              if (clockEnd < struct.id.clock + struct.length) {
                structs.splice(index, 0, splitItem(transaction, struct, clockEnd - struct.id.clock));
              }
              struct.delete(transaction);
            }
          } else {
            break;
          }
        }
      } else {
        addToDeleteSet(unappliedDS, client, clock, clockEnd - clock);
      }
    }
  }
  if (unappliedDS.clients.size > 0) {
    const ds = new UpdateEncoderV2();
    writeVarUint(ds.restEncoder, 0);
    writeDeleteSet(ds, unappliedDS);
    return ds.toUint8Array();
  }
  return null;
};
var generateNewClientId = uint32;
var Doc = class _Doc extends ObservableV2 {
  /**
   * @param {DocOpts} opts configuration
   */
  constructor({ guid = uuidv4(), collectionid = null, gc = true, gcFilter = () => true, meta = null, autoLoad = false, shouldLoad = true } = {}) {
    super();
    this.gc = gc;
    this.gcFilter = gcFilter;
    this.clientID = generateNewClientId();
    this.guid = guid;
    this.collectionid = collectionid;
    this.share = /* @__PURE__ */ new Map();
    this.store = new StructStore();
    this._transaction = null;
    this._transactionCleanups = [];
    this.subdocs = /* @__PURE__ */ new Set();
    this._item = null;
    this.shouldLoad = shouldLoad;
    this.autoLoad = autoLoad;
    this.meta = meta;
    this.isLoaded = false;
    this.isSynced = false;
    this.isDestroyed = false;
    this.whenLoaded = create4((resolve) => {
      this.on("load", () => {
        this.isLoaded = true;
        resolve(this);
      });
    });
    const provideSyncedPromise = () => create4((resolve) => {
      const eventHandler = (isSynced) => {
        if (isSynced === void 0 || isSynced === true) {
          this.off("sync", eventHandler);
          resolve();
        }
      };
      this.on("sync", eventHandler);
    });
    this.on("sync", (isSynced) => {
      if (isSynced === false && this.isSynced) {
        this.whenSynced = provideSyncedPromise();
      }
      this.isSynced = isSynced === void 0 || isSynced === true;
      if (this.isSynced && !this.isLoaded) {
        this.emit("load", [this]);
      }
    });
    this.whenSynced = provideSyncedPromise();
  }
  /**
   * Notify the parent document that you request to load data into this subdocument (if it is a subdocument).
   *
   * `load()` might be used in the future to request any provider to load the most current data.
   *
   * It is safe to call `load()` multiple times.
   */
  load() {
    const item = this._item;
    if (item !== null && !this.shouldLoad) {
      transact(
        /** @type {any} */
        item.parent.doc,
        (transaction) => {
          transaction.subdocsLoaded.add(this);
        },
        null,
        true
      );
    }
    this.shouldLoad = true;
  }
  getSubdocs() {
    return this.subdocs;
  }
  getSubdocGuids() {
    return new Set(from(this.subdocs).map((doc2) => doc2.guid));
  }
  /**
   * Changes that happen inside of a transaction are bundled. This means that
   * the observer fires _after_ the transaction is finished and that all changes
   * that happened inside of the transaction are sent as one message to the
   * other peers.
   *
   * @template T
   * @param {function(Transaction):T} f The function that should be executed as a transaction
   * @param {any} [origin] Origin of who started the transaction. Will be stored on transaction.origin
   * @return T
   *
   * @public
   */
  transact(f, origin = null) {
    return transact(this, f, origin);
  }
  /**
   * Define a shared data type.
   *
   * Multiple calls of `ydoc.get(name, TypeConstructor)` yield the same result
   * and do not overwrite each other. I.e.
   * `ydoc.get(name, Y.Array) === ydoc.get(name, Y.Array)`
   *
   * After this method is called, the type is also available on `ydoc.share.get(name)`.
   *
   * *Best Practices:*
   * Define all types right after the Y.Doc instance is created and store them in a separate object.
   * Also use the typed methods `getText(name)`, `getArray(name)`, ..
   *
   * @template {typeof AbstractType<any>} Type
   * @example
   *   const ydoc = new Y.Doc(..)
   *   const appState = {
   *     document: ydoc.getText('document')
   *     comments: ydoc.getArray('comments')
   *   }
   *
   * @param {string} name
   * @param {Type} TypeConstructor The constructor of the type definition. E.g. Y.Text, Y.Array, Y.Map, ...
   * @return {InstanceType<Type>} The created type. Constructed with TypeConstructor
   *
   * @public
   */
  get(name, TypeConstructor = (
    /** @type {any} */
    AbstractType
  )) {
    const type = setIfUndefined(this.share, name, () => {
      const t = new TypeConstructor();
      t._integrate(this, null);
      return t;
    });
    const Constr = type.constructor;
    if (TypeConstructor !== AbstractType && Constr !== TypeConstructor) {
      if (Constr === AbstractType) {
        const t = new TypeConstructor();
        t._map = type._map;
        type._map.forEach(
          /** @param {Item?} n */
          (n) => {
            for (; n !== null; n = n.left) {
              n.parent = t;
            }
          }
        );
        t._start = type._start;
        for (let n = t._start; n !== null; n = n.right) {
          n.parent = t;
        }
        t._length = type._length;
        this.share.set(name, t);
        t._integrate(this, null);
        return (
          /** @type {InstanceType<Type>} */
          t
        );
      } else {
        throw new Error(`Type with the name ${name} has already been defined with a different constructor`);
      }
    }
    return (
      /** @type {InstanceType<Type>} */
      type
    );
  }
  /**
   * @template T
   * @param {string} [name]
   * @return {YArray<T>}
   *
   * @public
   */
  getArray(name = "") {
    return (
      /** @type {YArray<T>} */
      this.get(name, YArray)
    );
  }
  /**
   * @param {string} [name]
   * @return {YText}
   *
   * @public
   */
  getText(name = "") {
    return this.get(name, YText);
  }
  /**
   * @template T
   * @param {string} [name]
   * @return {YMap<T>}
   *
   * @public
   */
  getMap(name = "") {
    return (
      /** @type {YMap<T>} */
      this.get(name, YMap)
    );
  }
  /**
   * @param {string} [name]
   * @return {YXmlElement}
   *
   * @public
   */
  getXmlElement(name = "") {
    return (
      /** @type {YXmlElement<{[key:string]:string}>} */
      this.get(name, YXmlElement)
    );
  }
  /**
   * @param {string} [name]
   * @return {YXmlFragment}
   *
   * @public
   */
  getXmlFragment(name = "") {
    return this.get(name, YXmlFragment);
  }
  /**
   * Converts the entire document into a js object, recursively traversing each yjs type
   * Doesn't log types that have not been defined (using ydoc.getType(..)).
   *
   * @deprecated Do not use this method and rather call toJSON directly on the shared types.
   *
   * @return {Object<string, any>}
   */
  toJSON() {
    const doc2 = {};
    this.share.forEach((value, key) => {
      doc2[key] = value.toJSON();
    });
    return doc2;
  }
  /**
   * Emit `destroy` event and unregister all event handlers.
   */
  destroy() {
    this.isDestroyed = true;
    from(this.subdocs).forEach((subdoc) => subdoc.destroy());
    const item = this._item;
    if (item !== null) {
      this._item = null;
      const content = (
        /** @type {ContentDoc} */
        item.content
      );
      content.doc = new _Doc({ guid: this.guid, ...content.opts, shouldLoad: false });
      content.doc._item = item;
      transact(
        /** @type {any} */
        item.parent.doc,
        (transaction) => {
          const doc2 = content.doc;
          if (!item.deleted) {
            transaction.subdocsAdded.add(doc2);
          }
          transaction.subdocsRemoved.add(this);
        },
        null,
        true
      );
    }
    this.emit("destroyed", [true]);
    this.emit("destroy", [this]);
    super.destroy();
  }
};
var DSDecoderV1 = class {
  /**
   * @param {decoding.Decoder} decoder
   */
  constructor(decoder2) {
    this.restDecoder = decoder2;
  }
  resetDsCurVal() {
  }
  /**
   * @return {number}
   */
  readDsClock() {
    return readVarUint(this.restDecoder);
  }
  /**
   * @return {number}
   */
  readDsLen() {
    return readVarUint(this.restDecoder);
  }
};
var UpdateDecoderV1 = class extends DSDecoderV1 {
  /**
   * @return {ID}
   */
  readLeftID() {
    return createID(readVarUint(this.restDecoder), readVarUint(this.restDecoder));
  }
  /**
   * @return {ID}
   */
  readRightID() {
    return createID(readVarUint(this.restDecoder), readVarUint(this.restDecoder));
  }
  /**
   * Read the next client id.
   * Use this in favor of readID whenever possible to reduce the number of objects created.
   */
  readClient() {
    return readVarUint(this.restDecoder);
  }
  /**
   * @return {number} info An unsigned 8-bit integer
   */
  readInfo() {
    return readUint8(this.restDecoder);
  }
  /**
   * @return {string}
   */
  readString() {
    return readVarString(this.restDecoder);
  }
  /**
   * @return {boolean} isKey
   */
  readParentInfo() {
    return readVarUint(this.restDecoder) === 1;
  }
  /**
   * @return {number} info An unsigned 8-bit integer
   */
  readTypeRef() {
    return readVarUint(this.restDecoder);
  }
  /**
   * Write len of a struct - well suited for Opt RLE encoder.
   *
   * @return {number} len
   */
  readLen() {
    return readVarUint(this.restDecoder);
  }
  /**
   * @return {any}
   */
  readAny() {
    return readAny(this.restDecoder);
  }
  /**
   * @return {Uint8Array}
   */
  readBuf() {
    return copyUint8Array(readVarUint8Array(this.restDecoder));
  }
  /**
   * Legacy implementation uses JSON parse. We use any-decoding in v2.
   *
   * @return {any}
   */
  readJSON() {
    return JSON.parse(readVarString(this.restDecoder));
  }
  /**
   * @return {string}
   */
  readKey() {
    return readVarString(this.restDecoder);
  }
};
var DSDecoderV2 = class {
  /**
   * @param {decoding.Decoder} decoder
   */
  constructor(decoder2) {
    this.dsCurrVal = 0;
    this.restDecoder = decoder2;
  }
  resetDsCurVal() {
    this.dsCurrVal = 0;
  }
  /**
   * @return {number}
   */
  readDsClock() {
    this.dsCurrVal += readVarUint(this.restDecoder);
    return this.dsCurrVal;
  }
  /**
   * @return {number}
   */
  readDsLen() {
    const diff = readVarUint(this.restDecoder) + 1;
    this.dsCurrVal += diff;
    return diff;
  }
};
var UpdateDecoderV2 = class extends DSDecoderV2 {
  /**
   * @param {decoding.Decoder} decoder
   */
  constructor(decoder2) {
    super(decoder2);
    this.keys = [];
    readVarUint(decoder2);
    this.keyClockDecoder = new IntDiffOptRleDecoder(readVarUint8Array(decoder2));
    this.clientDecoder = new UintOptRleDecoder(readVarUint8Array(decoder2));
    this.leftClockDecoder = new IntDiffOptRleDecoder(readVarUint8Array(decoder2));
    this.rightClockDecoder = new IntDiffOptRleDecoder(readVarUint8Array(decoder2));
    this.infoDecoder = new RleDecoder(readVarUint8Array(decoder2), readUint8);
    this.stringDecoder = new StringDecoder(readVarUint8Array(decoder2));
    this.parentInfoDecoder = new RleDecoder(readVarUint8Array(decoder2), readUint8);
    this.typeRefDecoder = new UintOptRleDecoder(readVarUint8Array(decoder2));
    this.lenDecoder = new UintOptRleDecoder(readVarUint8Array(decoder2));
  }
  /**
   * @return {ID}
   */
  readLeftID() {
    return new ID(this.clientDecoder.read(), this.leftClockDecoder.read());
  }
  /**
   * @return {ID}
   */
  readRightID() {
    return new ID(this.clientDecoder.read(), this.rightClockDecoder.read());
  }
  /**
   * Read the next client id.
   * Use this in favor of readID whenever possible to reduce the number of objects created.
   */
  readClient() {
    return this.clientDecoder.read();
  }
  /**
   * @return {number} info An unsigned 8-bit integer
   */
  readInfo() {
    return (
      /** @type {number} */
      this.infoDecoder.read()
    );
  }
  /**
   * @return {string}
   */
  readString() {
    return this.stringDecoder.read();
  }
  /**
   * @return {boolean}
   */
  readParentInfo() {
    return this.parentInfoDecoder.read() === 1;
  }
  /**
   * @return {number} An unsigned 8-bit integer
   */
  readTypeRef() {
    return this.typeRefDecoder.read();
  }
  /**
   * Write len of a struct - well suited for Opt RLE encoder.
   *
   * @return {number}
   */
  readLen() {
    return this.lenDecoder.read();
  }
  /**
   * @return {any}
   */
  readAny() {
    return readAny(this.restDecoder);
  }
  /**
   * @return {Uint8Array}
   */
  readBuf() {
    return readVarUint8Array(this.restDecoder);
  }
  /**
   * This is mainly here for legacy purposes.
   *
   * Initial we incoded objects using JSON. Now we use the much faster lib0/any-encoder. This method mainly exists for legacy purposes for the v1 encoder.
   *
   * @return {any}
   */
  readJSON() {
    return readAny(this.restDecoder);
  }
  /**
   * @return {string}
   */
  readKey() {
    const keyClock = this.keyClockDecoder.read();
    if (keyClock < this.keys.length) {
      return this.keys[keyClock];
    } else {
      const key = this.stringDecoder.read();
      this.keys.push(key);
      return key;
    }
  }
};
var DSEncoderV1 = class {
  constructor() {
    this.restEncoder = createEncoder();
  }
  toUint8Array() {
    return toUint8Array(this.restEncoder);
  }
  resetDsCurVal() {
  }
  /**
   * @param {number} clock
   */
  writeDsClock(clock) {
    writeVarUint(this.restEncoder, clock);
  }
  /**
   * @param {number} len
   */
  writeDsLen(len) {
    writeVarUint(this.restEncoder, len);
  }
};
var UpdateEncoderV1 = class extends DSEncoderV1 {
  /**
   * @param {ID} id
   */
  writeLeftID(id2) {
    writeVarUint(this.restEncoder, id2.client);
    writeVarUint(this.restEncoder, id2.clock);
  }
  /**
   * @param {ID} id
   */
  writeRightID(id2) {
    writeVarUint(this.restEncoder, id2.client);
    writeVarUint(this.restEncoder, id2.clock);
  }
  /**
   * Use writeClient and writeClock instead of writeID if possible.
   * @param {number} client
   */
  writeClient(client) {
    writeVarUint(this.restEncoder, client);
  }
  /**
   * @param {number} info An unsigned 8-bit integer
   */
  writeInfo(info) {
    writeUint8(this.restEncoder, info);
  }
  /**
   * @param {string} s
   */
  writeString(s) {
    writeVarString(this.restEncoder, s);
  }
  /**
   * @param {boolean} isYKey
   */
  writeParentInfo(isYKey) {
    writeVarUint(this.restEncoder, isYKey ? 1 : 0);
  }
  /**
   * @param {number} info An unsigned 8-bit integer
   */
  writeTypeRef(info) {
    writeVarUint(this.restEncoder, info);
  }
  /**
   * Write len of a struct - well suited for Opt RLE encoder.
   *
   * @param {number} len
   */
  writeLen(len) {
    writeVarUint(this.restEncoder, len);
  }
  /**
   * @param {any} any
   */
  writeAny(any2) {
    writeAny(this.restEncoder, any2);
  }
  /**
   * @param {Uint8Array} buf
   */
  writeBuf(buf) {
    writeVarUint8Array(this.restEncoder, buf);
  }
  /**
   * @param {any} embed
   */
  writeJSON(embed) {
    writeVarString(this.restEncoder, JSON.stringify(embed));
  }
  /**
   * @param {string} key
   */
  writeKey(key) {
    writeVarString(this.restEncoder, key);
  }
};
var DSEncoderV2 = class {
  constructor() {
    this.restEncoder = createEncoder();
    this.dsCurrVal = 0;
  }
  toUint8Array() {
    return toUint8Array(this.restEncoder);
  }
  resetDsCurVal() {
    this.dsCurrVal = 0;
  }
  /**
   * @param {number} clock
   */
  writeDsClock(clock) {
    const diff = clock - this.dsCurrVal;
    this.dsCurrVal = clock;
    writeVarUint(this.restEncoder, diff);
  }
  /**
   * @param {number} len
   */
  writeDsLen(len) {
    if (len === 0) {
      unexpectedCase();
    }
    writeVarUint(this.restEncoder, len - 1);
    this.dsCurrVal += len;
  }
};
var UpdateEncoderV2 = class extends DSEncoderV2 {
  constructor() {
    super();
    this.keyMap = /* @__PURE__ */ new Map();
    this.keyClock = 0;
    this.keyClockEncoder = new IntDiffOptRleEncoder();
    this.clientEncoder = new UintOptRleEncoder();
    this.leftClockEncoder = new IntDiffOptRleEncoder();
    this.rightClockEncoder = new IntDiffOptRleEncoder();
    this.infoEncoder = new RleEncoder(writeUint8);
    this.stringEncoder = new StringEncoder();
    this.parentInfoEncoder = new RleEncoder(writeUint8);
    this.typeRefEncoder = new UintOptRleEncoder();
    this.lenEncoder = new UintOptRleEncoder();
  }
  toUint8Array() {
    const encoder3 = createEncoder();
    writeVarUint(encoder3, 0);
    writeVarUint8Array(encoder3, this.keyClockEncoder.toUint8Array());
    writeVarUint8Array(encoder3, this.clientEncoder.toUint8Array());
    writeVarUint8Array(encoder3, this.leftClockEncoder.toUint8Array());
    writeVarUint8Array(encoder3, this.rightClockEncoder.toUint8Array());
    writeVarUint8Array(encoder3, toUint8Array(this.infoEncoder));
    writeVarUint8Array(encoder3, this.stringEncoder.toUint8Array());
    writeVarUint8Array(encoder3, toUint8Array(this.parentInfoEncoder));
    writeVarUint8Array(encoder3, this.typeRefEncoder.toUint8Array());
    writeVarUint8Array(encoder3, this.lenEncoder.toUint8Array());
    writeUint8Array(encoder3, toUint8Array(this.restEncoder));
    return toUint8Array(encoder3);
  }
  /**
   * @param {ID} id
   */
  writeLeftID(id2) {
    this.clientEncoder.write(id2.client);
    this.leftClockEncoder.write(id2.clock);
  }
  /**
   * @param {ID} id
   */
  writeRightID(id2) {
    this.clientEncoder.write(id2.client);
    this.rightClockEncoder.write(id2.clock);
  }
  /**
   * @param {number} client
   */
  writeClient(client) {
    this.clientEncoder.write(client);
  }
  /**
   * @param {number} info An unsigned 8-bit integer
   */
  writeInfo(info) {
    this.infoEncoder.write(info);
  }
  /**
   * @param {string} s
   */
  writeString(s) {
    this.stringEncoder.write(s);
  }
  /**
   * @param {boolean} isYKey
   */
  writeParentInfo(isYKey) {
    this.parentInfoEncoder.write(isYKey ? 1 : 0);
  }
  /**
   * @param {number} info An unsigned 8-bit integer
   */
  writeTypeRef(info) {
    this.typeRefEncoder.write(info);
  }
  /**
   * Write len of a struct - well suited for Opt RLE encoder.
   *
   * @param {number} len
   */
  writeLen(len) {
    this.lenEncoder.write(len);
  }
  /**
   * @param {any} any
   */
  writeAny(any2) {
    writeAny(this.restEncoder, any2);
  }
  /**
   * @param {Uint8Array} buf
   */
  writeBuf(buf) {
    writeVarUint8Array(this.restEncoder, buf);
  }
  /**
   * This is mainly here for legacy purposes.
   *
   * Initial we incoded objects using JSON. Now we use the much faster lib0/any-encoder. This method mainly exists for legacy purposes for the v1 encoder.
   *
   * @param {any} embed
   */
  writeJSON(embed) {
    writeAny(this.restEncoder, embed);
  }
  /**
   * Property keys are often reused. For example, in y-prosemirror the key `bold` might
   * occur very often. For a 3d application, the key `position` might occur very often.
   *
   * We cache these keys in a Map and refer to them via a unique number.
   *
   * @param {string} key
   */
  writeKey(key) {
    const clock = this.keyMap.get(key);
    if (clock === void 0) {
      this.keyClockEncoder.write(this.keyClock++);
      this.stringEncoder.write(key);
    } else {
      this.keyClockEncoder.write(clock);
    }
  }
};
var writeStructs = (encoder3, structs, client, clock) => {
  clock = max(clock, structs[0].id.clock);
  const startNewStructs = findIndexSS(structs, clock);
  writeVarUint(encoder3.restEncoder, structs.length - startNewStructs);
  encoder3.writeClient(client);
  writeVarUint(encoder3.restEncoder, clock);
  const firstStruct = structs[startNewStructs];
  firstStruct.write(encoder3, clock - firstStruct.id.clock);
  for (let i = startNewStructs + 1; i < structs.length; i++) {
    structs[i].write(encoder3, 0);
  }
};
var writeClientsStructs = (encoder3, store, _sm) => {
  const sm = /* @__PURE__ */ new Map();
  _sm.forEach((clock, client) => {
    if (getState(store, client) > clock) {
      sm.set(client, clock);
    }
  });
  getStateVector(store).forEach((_clock, client) => {
    if (!_sm.has(client)) {
      sm.set(client, 0);
    }
  });
  writeVarUint(encoder3.restEncoder, sm.size);
  from(sm.entries()).sort((a, b) => b[0] - a[0]).forEach(([client, clock]) => {
    writeStructs(
      encoder3,
      /** @type {Array<GC|Item>} */
      store.clients.get(client),
      client,
      clock
    );
  });
};
var readClientsStructRefs = (decoder2, doc2) => {
  const clientRefs = create3();
  const numOfStateUpdates = readVarUint(decoder2.restDecoder);
  for (let i = 0; i < numOfStateUpdates; i++) {
    const numberOfStructs = readVarUint(decoder2.restDecoder);
    const refs = new Array(numberOfStructs);
    const client = decoder2.readClient();
    let clock = readVarUint(decoder2.restDecoder);
    clientRefs.set(client, { i: 0, refs });
    for (let i2 = 0; i2 < numberOfStructs; i2++) {
      const info = decoder2.readInfo();
      switch (BITS5 & info) {
        case 0: {
          const len = decoder2.readLen();
          refs[i2] = new GC(createID(client, clock), len);
          clock += len;
          break;
        }
        case 10: {
          const len = readVarUint(decoder2.restDecoder);
          refs[i2] = new Skip(createID(client, clock), len);
          clock += len;
          break;
        }
        default: {
          const cantCopyParentInfo = (info & (BIT7 | BIT8)) === 0;
          const struct = new Item(
            createID(client, clock),
            null,
            // left
            (info & BIT8) === BIT8 ? decoder2.readLeftID() : null,
            // origin
            null,
            // right
            (info & BIT7) === BIT7 ? decoder2.readRightID() : null,
            // right origin
            cantCopyParentInfo ? decoder2.readParentInfo() ? doc2.get(decoder2.readString()) : decoder2.readLeftID() : null,
            // parent
            cantCopyParentInfo && (info & BIT6) === BIT6 ? decoder2.readString() : null,
            // parentSub
            readItemContent(decoder2, info)
            // item content
          );
          refs[i2] = struct;
          clock += struct.length;
        }
      }
    }
  }
  return clientRefs;
};
var integrateStructs = (transaction, store, clientsStructRefs) => {
  const stack = [];
  let clientsStructRefsIds = from(clientsStructRefs.keys()).sort((a, b) => a - b);
  if (clientsStructRefsIds.length === 0) {
    return null;
  }
  const getNextStructTarget = () => {
    if (clientsStructRefsIds.length === 0) {
      return null;
    }
    let nextStructsTarget = (
      /** @type {{i:number,refs:Array<GC|Item>}} */
      clientsStructRefs.get(clientsStructRefsIds[clientsStructRefsIds.length - 1])
    );
    while (nextStructsTarget.refs.length === nextStructsTarget.i) {
      clientsStructRefsIds.pop();
      if (clientsStructRefsIds.length > 0) {
        nextStructsTarget = /** @type {{i:number,refs:Array<GC|Item>}} */
        clientsStructRefs.get(clientsStructRefsIds[clientsStructRefsIds.length - 1]);
      } else {
        return null;
      }
    }
    return nextStructsTarget;
  };
  let curStructsTarget = getNextStructTarget();
  if (curStructsTarget === null) {
    return null;
  }
  const restStructs = new StructStore();
  const missingSV = /* @__PURE__ */ new Map();
  const updateMissingSv = (client, clock) => {
    const mclock = missingSV.get(client);
    if (mclock == null || mclock > clock) {
      missingSV.set(client, clock);
    }
  };
  let stackHead = (
    /** @type {any} */
    curStructsTarget.refs[
      /** @type {any} */
      curStructsTarget.i++
    ]
  );
  const state = /* @__PURE__ */ new Map();
  const addStackToRestSS = () => {
    for (const item of stack) {
      const client = item.id.client;
      const inapplicableItems = clientsStructRefs.get(client);
      if (inapplicableItems) {
        inapplicableItems.i--;
        restStructs.clients.set(client, inapplicableItems.refs.slice(inapplicableItems.i));
        clientsStructRefs.delete(client);
        inapplicableItems.i = 0;
        inapplicableItems.refs = [];
      } else {
        restStructs.clients.set(client, [item]);
      }
      clientsStructRefsIds = clientsStructRefsIds.filter((c) => c !== client);
    }
    stack.length = 0;
  };
  while (true) {
    if (stackHead.constructor !== Skip) {
      const localClock = setIfUndefined(state, stackHead.id.client, () => getState(store, stackHead.id.client));
      const offset = localClock - stackHead.id.clock;
      if (offset < 0) {
        stack.push(stackHead);
        updateMissingSv(stackHead.id.client, stackHead.id.clock - 1);
        addStackToRestSS();
      } else {
        const missing = stackHead.getMissing(transaction, store);
        if (missing !== null) {
          stack.push(stackHead);
          const structRefs = clientsStructRefs.get(
            /** @type {number} */
            missing
          ) || { refs: [], i: 0 };
          if (structRefs.refs.length === structRefs.i) {
            updateMissingSv(
              /** @type {number} */
              missing,
              getState(store, missing)
            );
            addStackToRestSS();
          } else {
            stackHead = structRefs.refs[structRefs.i++];
            continue;
          }
        } else if (offset === 0 || offset < stackHead.length) {
          stackHead.integrate(transaction, offset);
          state.set(stackHead.id.client, stackHead.id.clock + stackHead.length);
        }
      }
    }
    if (stack.length > 0) {
      stackHead = /** @type {GC|Item} */
      stack.pop();
    } else if (curStructsTarget !== null && curStructsTarget.i < curStructsTarget.refs.length) {
      stackHead = /** @type {GC|Item} */
      curStructsTarget.refs[curStructsTarget.i++];
    } else {
      curStructsTarget = getNextStructTarget();
      if (curStructsTarget === null) {
        break;
      } else {
        stackHead = /** @type {GC|Item} */
        curStructsTarget.refs[curStructsTarget.i++];
      }
    }
  }
  if (restStructs.clients.size > 0) {
    const encoder3 = new UpdateEncoderV2();
    writeClientsStructs(encoder3, restStructs, /* @__PURE__ */ new Map());
    writeVarUint(encoder3.restEncoder, 0);
    return { missing: missingSV, update: encoder3.toUint8Array() };
  }
  return null;
};
var writeStructsFromTransaction = (encoder3, transaction) => writeClientsStructs(encoder3, transaction.doc.store, transaction.beforeState);
var readUpdateV2 = (decoder2, ydoc, transactionOrigin, structDecoder = new UpdateDecoderV2(decoder2)) => transact(ydoc, (transaction) => {
  transaction.local = false;
  let retry = false;
  const doc2 = transaction.doc;
  const store = doc2.store;
  const ss = readClientsStructRefs(structDecoder, doc2);
  const restStructs = integrateStructs(transaction, store, ss);
  const pending = store.pendingStructs;
  if (pending) {
    for (const [client, clock] of pending.missing) {
      if (clock < getState(store, client)) {
        retry = true;
        break;
      }
    }
    if (restStructs) {
      for (const [client, clock] of restStructs.missing) {
        const mclock = pending.missing.get(client);
        if (mclock == null || mclock > clock) {
          pending.missing.set(client, clock);
        }
      }
      pending.update = mergeUpdatesV2([pending.update, restStructs.update]);
    }
  } else {
    store.pendingStructs = restStructs;
  }
  const dsRest = readAndApplyDeleteSet(structDecoder, transaction, store);
  if (store.pendingDs) {
    const pendingDSUpdate = new UpdateDecoderV2(createDecoder(store.pendingDs));
    readVarUint(pendingDSUpdate.restDecoder);
    const dsRest2 = readAndApplyDeleteSet(pendingDSUpdate, transaction, store);
    if (dsRest && dsRest2) {
      store.pendingDs = mergeUpdatesV2([dsRest, dsRest2]);
    } else {
      store.pendingDs = dsRest || dsRest2;
    }
  } else {
    store.pendingDs = dsRest;
  }
  if (retry) {
    const update = (
      /** @type {{update: Uint8Array}} */
      store.pendingStructs.update
    );
    store.pendingStructs = null;
    applyUpdateV2(transaction.doc, update);
  }
}, transactionOrigin, false);
var applyUpdateV2 = (ydoc, update, transactionOrigin, YDecoder = UpdateDecoderV2) => {
  const decoder2 = createDecoder(update);
  readUpdateV2(decoder2, ydoc, transactionOrigin, new YDecoder(decoder2));
};
var applyUpdate = (ydoc, update, transactionOrigin) => applyUpdateV2(ydoc, update, transactionOrigin, UpdateDecoderV1);
var writeStateAsUpdate = (encoder3, doc2, targetStateVector = /* @__PURE__ */ new Map()) => {
  writeClientsStructs(encoder3, doc2.store, targetStateVector);
  writeDeleteSet(encoder3, createDeleteSetFromStructStore(doc2.store));
};
var encodeStateAsUpdateV2 = (doc2, encodedTargetStateVector = new Uint8Array([0]), encoder3 = new UpdateEncoderV2()) => {
  const targetStateVector = decodeStateVector(encodedTargetStateVector);
  writeStateAsUpdate(encoder3, doc2, targetStateVector);
  const updates = [encoder3.toUint8Array()];
  if (doc2.store.pendingDs) {
    updates.push(doc2.store.pendingDs);
  }
  if (doc2.store.pendingStructs) {
    updates.push(diffUpdateV2(doc2.store.pendingStructs.update, encodedTargetStateVector));
  }
  if (updates.length > 1) {
    if (encoder3.constructor === UpdateEncoderV1) {
      return mergeUpdates(updates.map((update, i) => i === 0 ? update : convertUpdateFormatV2ToV1(update)));
    } else if (encoder3.constructor === UpdateEncoderV2) {
      return mergeUpdatesV2(updates);
    }
  }
  return updates[0];
};
var encodeStateAsUpdate = (doc2, encodedTargetStateVector) => encodeStateAsUpdateV2(doc2, encodedTargetStateVector, new UpdateEncoderV1());
var readStateVector = (decoder2) => {
  const ss = /* @__PURE__ */ new Map();
  const ssLength = readVarUint(decoder2.restDecoder);
  for (let i = 0; i < ssLength; i++) {
    const client = readVarUint(decoder2.restDecoder);
    const clock = readVarUint(decoder2.restDecoder);
    ss.set(client, clock);
  }
  return ss;
};
var decodeStateVector = (decodedState) => readStateVector(new DSDecoderV1(createDecoder(decodedState)));
var writeStateVector = (encoder3, sv) => {
  writeVarUint(encoder3.restEncoder, sv.size);
  from(sv.entries()).sort((a, b) => b[0] - a[0]).forEach(([client, clock]) => {
    writeVarUint(encoder3.restEncoder, client);
    writeVarUint(encoder3.restEncoder, clock);
  });
  return encoder3;
};
var writeDocumentStateVector = (encoder3, doc2) => writeStateVector(encoder3, getStateVector(doc2.store));
var encodeStateVectorV2 = (doc2, encoder3 = new DSEncoderV2()) => {
  if (doc2 instanceof Map) {
    writeStateVector(encoder3, doc2);
  } else {
    writeDocumentStateVector(encoder3, doc2);
  }
  return encoder3.toUint8Array();
};
var encodeStateVector = (doc2) => encodeStateVectorV2(doc2, new DSEncoderV1());
var EventHandler = class {
  constructor() {
    this.l = [];
  }
};
var createEventHandler = () => new EventHandler();
var addEventHandlerListener = (eventHandler, f) => eventHandler.l.push(f);
var removeEventHandlerListener = (eventHandler, f) => {
  const l = eventHandler.l;
  const len = l.length;
  eventHandler.l = l.filter((g) => f !== g);
  if (len === eventHandler.l.length) {
    console.error("[yjs] Tried to remove event handler that doesn't exist.");
  }
};
var callEventHandlerListeners = (eventHandler, arg0, arg1) => callAll(eventHandler.l, [arg0, arg1]);
var ID = class {
  /**
   * @param {number} client client id
   * @param {number} clock unique per client id, continuous number
   */
  constructor(client, clock) {
    this.client = client;
    this.clock = clock;
  }
};
var compareIDs = (a, b) => a === b || a !== null && b !== null && a.client === b.client && a.clock === b.clock;
var createID = (client, clock) => new ID(client, clock);
var findRootTypeKey = (type) => {
  for (const [key, value] of type.doc.share.entries()) {
    if (value === type) {
      return key;
    }
  }
  throw unexpectedCase();
};
var Snapshot = class {
  /**
   * @param {DeleteSet} ds
   * @param {Map<number,number>} sv state map
   */
  constructor(ds, sv) {
    this.ds = ds;
    this.sv = sv;
  }
};
var createSnapshot = (ds, sm) => new Snapshot(ds, sm);
var emptySnapshot = createSnapshot(createDeleteSet(), /* @__PURE__ */ new Map());
var isVisible = (item, snapshot) => snapshot === void 0 ? !item.deleted : snapshot.sv.has(item.id.client) && (snapshot.sv.get(item.id.client) || 0) > item.id.clock && !isDeleted(snapshot.ds, item.id);
var splitSnapshotAffectedStructs = (transaction, snapshot) => {
  const meta = setIfUndefined(transaction.meta, splitSnapshotAffectedStructs, create);
  const store = transaction.doc.store;
  if (!meta.has(snapshot)) {
    snapshot.sv.forEach((clock, client) => {
      if (clock < getState(store, client)) {
        getItemCleanStart(transaction, createID(client, clock));
      }
    });
    iterateDeletedStructs(transaction, snapshot.ds, (_item) => {
    });
    meta.add(snapshot);
  }
};
var StructStore = class {
  constructor() {
    this.clients = /* @__PURE__ */ new Map();
    this.pendingStructs = null;
    this.pendingDs = null;
  }
};
var getStateVector = (store) => {
  const sm = /* @__PURE__ */ new Map();
  store.clients.forEach((structs, client) => {
    const struct = structs[structs.length - 1];
    sm.set(client, struct.id.clock + struct.length);
  });
  return sm;
};
var getState = (store, client) => {
  const structs = store.clients.get(client);
  if (structs === void 0) {
    return 0;
  }
  const lastStruct = structs[structs.length - 1];
  return lastStruct.id.clock + lastStruct.length;
};
var addStruct = (store, struct) => {
  let structs = store.clients.get(struct.id.client);
  if (structs === void 0) {
    structs = [];
    store.clients.set(struct.id.client, structs);
  } else {
    const lastStruct = structs[structs.length - 1];
    if (lastStruct.id.clock + lastStruct.length !== struct.id.clock) {
      throw unexpectedCase();
    }
  }
  structs.push(struct);
};
var findIndexSS = (structs, clock) => {
  let left = 0;
  let right = structs.length - 1;
  let mid = structs[right];
  let midclock = mid.id.clock;
  if (midclock === clock) {
    return right;
  }
  let midindex = floor(clock / (midclock + mid.length - 1) * right);
  while (left <= right) {
    mid = structs[midindex];
    midclock = mid.id.clock;
    if (midclock <= clock) {
      if (clock < midclock + mid.length) {
        return midindex;
      }
      left = midindex + 1;
    } else {
      right = midindex - 1;
    }
    midindex = floor((left + right) / 2);
  }
  throw unexpectedCase();
};
var find = (store, id2) => {
  const structs = store.clients.get(id2.client);
  return structs[findIndexSS(structs, id2.clock)];
};
var getItem = (
  /** @type {function(StructStore,ID):Item} */
  find
);
var findIndexCleanStart = (transaction, structs, clock) => {
  const index = findIndexSS(structs, clock);
  const struct = structs[index];
  if (struct.id.clock < clock && struct instanceof Item) {
    structs.splice(index + 1, 0, splitItem(transaction, struct, clock - struct.id.clock));
    return index + 1;
  }
  return index;
};
var getItemCleanStart = (transaction, id2) => {
  const structs = (
    /** @type {Array<Item>} */
    transaction.doc.store.clients.get(id2.client)
  );
  return structs[findIndexCleanStart(transaction, structs, id2.clock)];
};
var getItemCleanEnd = (transaction, store, id2) => {
  const structs = store.clients.get(id2.client);
  const index = findIndexSS(structs, id2.clock);
  const struct = structs[index];
  if (id2.clock !== struct.id.clock + struct.length - 1 && struct.constructor !== GC) {
    structs.splice(index + 1, 0, splitItem(transaction, struct, id2.clock - struct.id.clock + 1));
  }
  return struct;
};
var replaceStruct = (store, struct, newStruct) => {
  const structs = (
    /** @type {Array<GC|Item>} */
    store.clients.get(struct.id.client)
  );
  structs[findIndexSS(structs, struct.id.clock)] = newStruct;
};
var iterateStructs = (transaction, structs, clockStart, len, f) => {
  if (len === 0) {
    return;
  }
  const clockEnd = clockStart + len;
  let index = findIndexCleanStart(transaction, structs, clockStart);
  let struct;
  do {
    struct = structs[index++];
    if (clockEnd < struct.id.clock + struct.length) {
      findIndexCleanStart(transaction, structs, clockEnd);
    }
    f(struct);
  } while (index < structs.length && structs[index].id.clock < clockEnd);
};
var Transaction = class {
  /**
   * @param {Doc} doc
   * @param {any} origin
   * @param {boolean} local
   */
  constructor(doc2, origin, local) {
    this.doc = doc2;
    this.deleteSet = new DeleteSet();
    this.beforeState = getStateVector(doc2.store);
    this.afterState = /* @__PURE__ */ new Map();
    this.changed = /* @__PURE__ */ new Map();
    this.changedParentTypes = /* @__PURE__ */ new Map();
    this._mergeStructs = [];
    this.origin = origin;
    this.meta = /* @__PURE__ */ new Map();
    this.local = local;
    this.subdocsAdded = /* @__PURE__ */ new Set();
    this.subdocsRemoved = /* @__PURE__ */ new Set();
    this.subdocsLoaded = /* @__PURE__ */ new Set();
    this._needFormattingCleanup = false;
  }
};
var writeUpdateMessageFromTransaction = (encoder3, transaction) => {
  if (transaction.deleteSet.clients.size === 0 && !any(transaction.afterState, (clock, client) => transaction.beforeState.get(client) !== clock)) {
    return false;
  }
  sortAndMergeDeleteSet(transaction.deleteSet);
  writeStructsFromTransaction(encoder3, transaction);
  writeDeleteSet(encoder3, transaction.deleteSet);
  return true;
};
var addChangedTypeToTransaction = (transaction, type, parentSub) => {
  const item = type._item;
  if (item === null || item.id.clock < (transaction.beforeState.get(item.id.client) || 0) && !item.deleted) {
    setIfUndefined(transaction.changed, type, create).add(parentSub);
  }
};
var tryToMergeWithLefts = (structs, pos) => {
  let right = structs[pos];
  let left = structs[pos - 1];
  let i = pos;
  for (; i > 0; right = left, left = structs[--i - 1]) {
    if (left.deleted === right.deleted && left.constructor === right.constructor) {
      if (left.mergeWith(right)) {
        if (right instanceof Item && right.parentSub !== null && /** @type {AbstractType<any>} */
        right.parent._map.get(right.parentSub) === right) {
          right.parent._map.set(
            right.parentSub,
            /** @type {Item} */
            left
          );
        }
        continue;
      }
    }
    break;
  }
  const merged2 = pos - i;
  if (merged2) {
    structs.splice(pos + 1 - merged2, merged2);
  }
  return merged2;
};
var tryGcDeleteSet = (ds, store, gcFilter) => {
  for (const [client, deleteItems] of ds.clients.entries()) {
    const structs = (
      /** @type {Array<GC|Item>} */
      store.clients.get(client)
    );
    for (let di = deleteItems.length - 1; di >= 0; di--) {
      const deleteItem = deleteItems[di];
      const endDeleteItemClock = deleteItem.clock + deleteItem.len;
      for (let si = findIndexSS(structs, deleteItem.clock), struct = structs[si]; si < structs.length && struct.id.clock < endDeleteItemClock; struct = structs[++si]) {
        const struct2 = structs[si];
        if (deleteItem.clock + deleteItem.len <= struct2.id.clock) {
          break;
        }
        if (struct2 instanceof Item && struct2.deleted && !struct2.keep && gcFilter(struct2)) {
          struct2.gc(store, false);
        }
      }
    }
  }
};
var tryMergeDeleteSet = (ds, store) => {
  ds.clients.forEach((deleteItems, client) => {
    const structs = (
      /** @type {Array<GC|Item>} */
      store.clients.get(client)
    );
    for (let di = deleteItems.length - 1; di >= 0; di--) {
      const deleteItem = deleteItems[di];
      const mostRightIndexToCheck = min(structs.length - 1, 1 + findIndexSS(structs, deleteItem.clock + deleteItem.len - 1));
      for (let si = mostRightIndexToCheck, struct = structs[si]; si > 0 && struct.id.clock >= deleteItem.clock; struct = structs[si]) {
        si -= 1 + tryToMergeWithLefts(structs, si);
      }
    }
  });
};
var cleanupTransactions = (transactionCleanups, i) => {
  if (i < transactionCleanups.length) {
    const transaction = transactionCleanups[i];
    const doc2 = transaction.doc;
    const store = doc2.store;
    const ds = transaction.deleteSet;
    const mergeStructs = transaction._mergeStructs;
    try {
      sortAndMergeDeleteSet(ds);
      transaction.afterState = getStateVector(transaction.doc.store);
      doc2.emit("beforeObserverCalls", [transaction, doc2]);
      const fs = [];
      transaction.changed.forEach(
        (subs, itemtype) => fs.push(() => {
          if (itemtype._item === null || !itemtype._item.deleted) {
            itemtype._callObserver(transaction, subs);
          }
        })
      );
      fs.push(() => {
        transaction.changedParentTypes.forEach((events, type) => {
          if (type._dEH.l.length > 0 && (type._item === null || !type._item.deleted)) {
            fs.push(() => {
              events = events.filter(
                (event) => event.target._item === null || !event.target._item.deleted
              );
              events.forEach((event) => {
                event.currentTarget = type;
                event._path = null;
              });
              events.sort((event1, event2) => event1.path.length - event2.path.length);
              callEventHandlerListeners(type._dEH, events, transaction);
            });
          }
        });
        fs.push(() => doc2.emit("afterTransaction", [transaction, doc2]));
        fs.push(() => {
          if (transaction._needFormattingCleanup) {
            cleanupYTextAfterTransaction(transaction);
          }
        });
      });
      callAll(fs, []);
    } finally {
      if (doc2.gc) {
        tryGcDeleteSet(ds, store, doc2.gcFilter);
      }
      tryMergeDeleteSet(ds, store);
      transaction.afterState.forEach((clock, client) => {
        const beforeClock = transaction.beforeState.get(client) || 0;
        if (beforeClock !== clock) {
          const structs = (
            /** @type {Array<GC|Item>} */
            store.clients.get(client)
          );
          const firstChangePos = max(findIndexSS(structs, beforeClock), 1);
          for (let i2 = structs.length - 1; i2 >= firstChangePos; ) {
            i2 -= 1 + tryToMergeWithLefts(structs, i2);
          }
        }
      });
      for (let i2 = mergeStructs.length - 1; i2 >= 0; i2--) {
        const { client, clock } = mergeStructs[i2].id;
        const structs = (
          /** @type {Array<GC|Item>} */
          store.clients.get(client)
        );
        const replacedStructPos = findIndexSS(structs, clock);
        if (replacedStructPos + 1 < structs.length) {
          if (tryToMergeWithLefts(structs, replacedStructPos + 1) > 1) {
            continue;
          }
        }
        if (replacedStructPos > 0) {
          tryToMergeWithLefts(structs, replacedStructPos);
        }
      }
      if (!transaction.local && transaction.afterState.get(doc2.clientID) !== transaction.beforeState.get(doc2.clientID)) {
        print(ORANGE, BOLD, "[yjs] ", UNBOLD, RED, "Changed the client-id because another client seems to be using it.");
        doc2.clientID = generateNewClientId();
      }
      doc2.emit("afterTransactionCleanup", [transaction, doc2]);
      if (doc2._observers.has("update")) {
        const encoder3 = new UpdateEncoderV1();
        const hasContent2 = writeUpdateMessageFromTransaction(encoder3, transaction);
        if (hasContent2) {
          doc2.emit("update", [encoder3.toUint8Array(), transaction.origin, doc2, transaction]);
        }
      }
      if (doc2._observers.has("updateV2")) {
        const encoder3 = new UpdateEncoderV2();
        const hasContent2 = writeUpdateMessageFromTransaction(encoder3, transaction);
        if (hasContent2) {
          doc2.emit("updateV2", [encoder3.toUint8Array(), transaction.origin, doc2, transaction]);
        }
      }
      const { subdocsAdded, subdocsLoaded, subdocsRemoved } = transaction;
      if (subdocsAdded.size > 0 || subdocsRemoved.size > 0 || subdocsLoaded.size > 0) {
        subdocsAdded.forEach((subdoc) => {
          subdoc.clientID = doc2.clientID;
          if (subdoc.collectionid == null) {
            subdoc.collectionid = doc2.collectionid;
          }
          doc2.subdocs.add(subdoc);
        });
        subdocsRemoved.forEach((subdoc) => doc2.subdocs.delete(subdoc));
        doc2.emit("subdocs", [{ loaded: subdocsLoaded, added: subdocsAdded, removed: subdocsRemoved }, doc2, transaction]);
        subdocsRemoved.forEach((subdoc) => subdoc.destroy());
      }
      if (transactionCleanups.length <= i + 1) {
        doc2._transactionCleanups = [];
        doc2.emit("afterAllTransactions", [doc2, transactionCleanups]);
      } else {
        cleanupTransactions(transactionCleanups, i + 1);
      }
    }
  }
};
var transact = (doc2, f, origin = null, local = true) => {
  const transactionCleanups = doc2._transactionCleanups;
  let initialCall = false;
  let result = null;
  if (doc2._transaction === null) {
    initialCall = true;
    doc2._transaction = new Transaction(doc2, origin, local);
    transactionCleanups.push(doc2._transaction);
    if (transactionCleanups.length === 1) {
      doc2.emit("beforeAllTransactions", [doc2]);
    }
    doc2.emit("beforeTransaction", [doc2._transaction, doc2]);
  }
  try {
    result = f(doc2._transaction);
  } finally {
    if (initialCall) {
      const finishCleanup = doc2._transaction === transactionCleanups[0];
      doc2._transaction = null;
      if (finishCleanup) {
        cleanupTransactions(transactionCleanups, 0);
      }
    }
  }
  return result;
};
function* lazyStructReaderGenerator(decoder2) {
  const numOfStateUpdates = readVarUint(decoder2.restDecoder);
  for (let i = 0; i < numOfStateUpdates; i++) {
    const numberOfStructs = readVarUint(decoder2.restDecoder);
    const client = decoder2.readClient();
    let clock = readVarUint(decoder2.restDecoder);
    for (let i2 = 0; i2 < numberOfStructs; i2++) {
      const info = decoder2.readInfo();
      if (info === 10) {
        const len = readVarUint(decoder2.restDecoder);
        yield new Skip(createID(client, clock), len);
        clock += len;
      } else if ((BITS5 & info) !== 0) {
        const cantCopyParentInfo = (info & (BIT7 | BIT8)) === 0;
        const struct = new Item(
          createID(client, clock),
          null,
          // left
          (info & BIT8) === BIT8 ? decoder2.readLeftID() : null,
          // origin
          null,
          // right
          (info & BIT7) === BIT7 ? decoder2.readRightID() : null,
          // right origin
          // @ts-ignore Force writing a string here.
          cantCopyParentInfo ? decoder2.readParentInfo() ? decoder2.readString() : decoder2.readLeftID() : null,
          // parent
          cantCopyParentInfo && (info & BIT6) === BIT6 ? decoder2.readString() : null,
          // parentSub
          readItemContent(decoder2, info)
          // item content
        );
        yield struct;
        clock += struct.length;
      } else {
        const len = decoder2.readLen();
        yield new GC(createID(client, clock), len);
        clock += len;
      }
    }
  }
}
var LazyStructReader = class {
  /**
   * @param {UpdateDecoderV1 | UpdateDecoderV2} decoder
   * @param {boolean} filterSkips
   */
  constructor(decoder2, filterSkips) {
    this.gen = lazyStructReaderGenerator(decoder2);
    this.curr = null;
    this.done = false;
    this.filterSkips = filterSkips;
    this.next();
  }
  /**
   * @return {Item | GC | Skip |null}
   */
  next() {
    do {
      this.curr = this.gen.next().value || null;
    } while (this.filterSkips && this.curr !== null && this.curr.constructor === Skip);
    return this.curr;
  }
};
var LazyStructWriter = class {
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder
   */
  constructor(encoder3) {
    this.currClient = 0;
    this.startClock = 0;
    this.written = 0;
    this.encoder = encoder3;
    this.clientStructs = [];
  }
};
var mergeUpdates = (updates) => mergeUpdatesV2(updates, UpdateDecoderV1, UpdateEncoderV1);
var sliceStruct = (left, diff) => {
  if (left.constructor === GC) {
    const { client, clock } = left.id;
    return new GC(createID(client, clock + diff), left.length - diff);
  } else if (left.constructor === Skip) {
    const { client, clock } = left.id;
    return new Skip(createID(client, clock + diff), left.length - diff);
  } else {
    const leftItem = (
      /** @type {Item} */
      left
    );
    const { client, clock } = leftItem.id;
    return new Item(
      createID(client, clock + diff),
      null,
      createID(client, clock + diff - 1),
      null,
      leftItem.rightOrigin,
      leftItem.parent,
      leftItem.parentSub,
      leftItem.content.splice(diff)
    );
  }
};
var mergeUpdatesV2 = (updates, YDecoder = UpdateDecoderV2, YEncoder = UpdateEncoderV2) => {
  if (updates.length === 1) {
    return updates[0];
  }
  const updateDecoders = updates.map((update) => new YDecoder(createDecoder(update)));
  let lazyStructDecoders = updateDecoders.map((decoder2) => new LazyStructReader(decoder2, true));
  let currWrite = null;
  const updateEncoder = new YEncoder();
  const lazyStructEncoder = new LazyStructWriter(updateEncoder);
  while (true) {
    lazyStructDecoders = lazyStructDecoders.filter((dec) => dec.curr !== null);
    lazyStructDecoders.sort(
      /** @type {function(any,any):number} */
      (dec1, dec2) => {
        if (dec1.curr.id.client === dec2.curr.id.client) {
          const clockDiff = dec1.curr.id.clock - dec2.curr.id.clock;
          if (clockDiff === 0) {
            return dec1.curr.constructor === dec2.curr.constructor ? 0 : dec1.curr.constructor === Skip ? 1 : -1;
          } else {
            return clockDiff;
          }
        } else {
          return dec2.curr.id.client - dec1.curr.id.client;
        }
      }
    );
    if (lazyStructDecoders.length === 0) {
      break;
    }
    const currDecoder = lazyStructDecoders[0];
    const firstClient = (
      /** @type {Item | GC} */
      currDecoder.curr.id.client
    );
    if (currWrite !== null) {
      let curr = (
        /** @type {Item | GC | null} */
        currDecoder.curr
      );
      let iterated = false;
      while (curr !== null && curr.id.clock + curr.length <= currWrite.struct.id.clock + currWrite.struct.length && curr.id.client >= currWrite.struct.id.client) {
        curr = currDecoder.next();
        iterated = true;
      }
      if (curr === null || // current decoder is empty
      curr.id.client !== firstClient || // check whether there is another decoder that has has updates from `firstClient`
      iterated && curr.id.clock > currWrite.struct.id.clock + currWrite.struct.length) {
        continue;
      }
      if (firstClient !== currWrite.struct.id.client) {
        writeStructToLazyStructWriter(lazyStructEncoder, currWrite.struct, currWrite.offset);
        currWrite = { struct: curr, offset: 0 };
        currDecoder.next();
      } else {
        if (currWrite.struct.id.clock + currWrite.struct.length < curr.id.clock) {
          if (currWrite.struct.constructor === Skip) {
            currWrite.struct.length = curr.id.clock + curr.length - currWrite.struct.id.clock;
          } else {
            writeStructToLazyStructWriter(lazyStructEncoder, currWrite.struct, currWrite.offset);
            const diff = curr.id.clock - currWrite.struct.id.clock - currWrite.struct.length;
            const struct = new Skip(createID(firstClient, currWrite.struct.id.clock + currWrite.struct.length), diff);
            currWrite = { struct, offset: 0 };
          }
        } else {
          const diff = currWrite.struct.id.clock + currWrite.struct.length - curr.id.clock;
          if (diff > 0) {
            if (currWrite.struct.constructor === Skip) {
              currWrite.struct.length -= diff;
            } else {
              curr = sliceStruct(curr, diff);
            }
          }
          if (!currWrite.struct.mergeWith(
            /** @type {any} */
            curr
          )) {
            writeStructToLazyStructWriter(lazyStructEncoder, currWrite.struct, currWrite.offset);
            currWrite = { struct: curr, offset: 0 };
            currDecoder.next();
          }
        }
      }
    } else {
      currWrite = { struct: (
        /** @type {Item | GC} */
        currDecoder.curr
      ), offset: 0 };
      currDecoder.next();
    }
    for (let next = currDecoder.curr; next !== null && next.id.client === firstClient && next.id.clock === currWrite.struct.id.clock + currWrite.struct.length && next.constructor !== Skip; next = currDecoder.next()) {
      writeStructToLazyStructWriter(lazyStructEncoder, currWrite.struct, currWrite.offset);
      currWrite = { struct: next, offset: 0 };
    }
  }
  if (currWrite !== null) {
    writeStructToLazyStructWriter(lazyStructEncoder, currWrite.struct, currWrite.offset);
    currWrite = null;
  }
  finishLazyStructWriting(lazyStructEncoder);
  const dss = updateDecoders.map((decoder2) => readDeleteSet(decoder2));
  const ds = mergeDeleteSets(dss);
  writeDeleteSet(updateEncoder, ds);
  return updateEncoder.toUint8Array();
};
var diffUpdateV2 = (update, sv, YDecoder = UpdateDecoderV2, YEncoder = UpdateEncoderV2) => {
  const state = decodeStateVector(sv);
  const encoder3 = new YEncoder();
  const lazyStructWriter = new LazyStructWriter(encoder3);
  const decoder2 = new YDecoder(createDecoder(update));
  const reader = new LazyStructReader(decoder2, false);
  while (reader.curr) {
    const curr = reader.curr;
    const currClient = curr.id.client;
    const svClock = state.get(currClient) || 0;
    if (reader.curr.constructor === Skip) {
      reader.next();
      continue;
    }
    if (curr.id.clock + curr.length > svClock) {
      writeStructToLazyStructWriter(lazyStructWriter, curr, max(svClock - curr.id.clock, 0));
      reader.next();
      while (reader.curr && reader.curr.id.client === currClient) {
        writeStructToLazyStructWriter(lazyStructWriter, reader.curr, 0);
        reader.next();
      }
    } else {
      while (reader.curr && reader.curr.id.client === currClient && reader.curr.id.clock + reader.curr.length <= svClock) {
        reader.next();
      }
    }
  }
  finishLazyStructWriting(lazyStructWriter);
  const ds = readDeleteSet(decoder2);
  writeDeleteSet(encoder3, ds);
  return encoder3.toUint8Array();
};
var flushLazyStructWriter = (lazyWriter) => {
  if (lazyWriter.written > 0) {
    lazyWriter.clientStructs.push({ written: lazyWriter.written, restEncoder: toUint8Array(lazyWriter.encoder.restEncoder) });
    lazyWriter.encoder.restEncoder = createEncoder();
    lazyWriter.written = 0;
  }
};
var writeStructToLazyStructWriter = (lazyWriter, struct, offset) => {
  if (lazyWriter.written > 0 && lazyWriter.currClient !== struct.id.client) {
    flushLazyStructWriter(lazyWriter);
  }
  if (lazyWriter.written === 0) {
    lazyWriter.currClient = struct.id.client;
    lazyWriter.encoder.writeClient(struct.id.client);
    writeVarUint(lazyWriter.encoder.restEncoder, struct.id.clock + offset);
  }
  struct.write(lazyWriter.encoder, offset);
  lazyWriter.written++;
};
var finishLazyStructWriting = (lazyWriter) => {
  flushLazyStructWriter(lazyWriter);
  const restEncoder = lazyWriter.encoder.restEncoder;
  writeVarUint(restEncoder, lazyWriter.clientStructs.length);
  for (let i = 0; i < lazyWriter.clientStructs.length; i++) {
    const partStructs = lazyWriter.clientStructs[i];
    writeVarUint(restEncoder, partStructs.written);
    writeUint8Array(restEncoder, partStructs.restEncoder);
  }
};
var convertUpdateFormat = (update, blockTransformer, YDecoder, YEncoder) => {
  const updateDecoder = new YDecoder(createDecoder(update));
  const lazyDecoder = new LazyStructReader(updateDecoder, false);
  const updateEncoder = new YEncoder();
  const lazyWriter = new LazyStructWriter(updateEncoder);
  for (let curr = lazyDecoder.curr; curr !== null; curr = lazyDecoder.next()) {
    writeStructToLazyStructWriter(lazyWriter, blockTransformer(curr), 0);
  }
  finishLazyStructWriting(lazyWriter);
  const ds = readDeleteSet(updateDecoder);
  writeDeleteSet(updateEncoder, ds);
  return updateEncoder.toUint8Array();
};
var convertUpdateFormatV2ToV1 = (update) => convertUpdateFormat(update, id, UpdateDecoderV2, UpdateEncoderV1);
var errorComputeChanges = "You must not compute changes after the event-handler fired.";
var YEvent = class {
  /**
   * @param {T} target The changed type.
   * @param {Transaction} transaction
   */
  constructor(target, transaction) {
    this.target = target;
    this.currentTarget = target;
    this.transaction = transaction;
    this._changes = null;
    this._keys = null;
    this._delta = null;
    this._path = null;
  }
  /**
   * Computes the path from `y` to the changed type.
   *
   * @todo v14 should standardize on path: Array<{parent, index}> because that is easier to work with.
   *
   * The following property holds:
   * @example
   *   let type = y
   *   event.path.forEach(dir => {
   *     type = type.get(dir)
   *   })
   *   type === event.target // => true
   */
  get path() {
    return this._path || (this._path = getPathTo(this.currentTarget, this.target));
  }
  /**
   * Check if a struct is deleted by this event.
   *
   * In contrast to change.deleted, this method also returns true if the struct was added and then deleted.
   *
   * @param {AbstractStruct} struct
   * @return {boolean}
   */
  deletes(struct) {
    return isDeleted(this.transaction.deleteSet, struct.id);
  }
  /**
   * @type {Map<string, { action: 'add' | 'update' | 'delete', oldValue: any }>}
   */
  get keys() {
    if (this._keys === null) {
      if (this.transaction.doc._transactionCleanups.length === 0) {
        throw create2(errorComputeChanges);
      }
      const keys2 = /* @__PURE__ */ new Map();
      const target = this.target;
      const changed = (
        /** @type Set<string|null> */
        this.transaction.changed.get(target)
      );
      changed.forEach((key) => {
        if (key !== null) {
          const item = (
            /** @type {Item} */
            target._map.get(key)
          );
          let action;
          let oldValue;
          if (this.adds(item)) {
            let prev = item.left;
            while (prev !== null && this.adds(prev)) {
              prev = prev.left;
            }
            if (this.deletes(item)) {
              if (prev !== null && this.deletes(prev)) {
                action = "delete";
                oldValue = last(prev.content.getContent());
              } else {
                return;
              }
            } else {
              if (prev !== null && this.deletes(prev)) {
                action = "update";
                oldValue = last(prev.content.getContent());
              } else {
                action = "add";
                oldValue = void 0;
              }
            }
          } else {
            if (this.deletes(item)) {
              action = "delete";
              oldValue = last(
                /** @type {Item} */
                item.content.getContent()
              );
            } else {
              return;
            }
          }
          keys2.set(key, { action, oldValue });
        }
      });
      this._keys = keys2;
    }
    return this._keys;
  }
  /**
   * This is a computed property. Note that this can only be safely computed during the
   * event call. Computing this property after other changes happened might result in
   * unexpected behavior (incorrect computation of deltas). A safe way to collect changes
   * is to store the `changes` or the `delta` object. Avoid storing the `transaction` object.
   *
   * @type {Array<{insert?: string | Array<any> | object | AbstractType<any>, retain?: number, delete?: number, attributes?: Object<string, any>}>}
   */
  get delta() {
    return this.changes.delta;
  }
  /**
   * Check if a struct is added by this event.
   *
   * In contrast to change.deleted, this method also returns true if the struct was added and then deleted.
   *
   * @param {AbstractStruct} struct
   * @return {boolean}
   */
  adds(struct) {
    return struct.id.clock >= (this.transaction.beforeState.get(struct.id.client) || 0);
  }
  /**
   * This is a computed property. Note that this can only be safely computed during the
   * event call. Computing this property after other changes happened might result in
   * unexpected behavior (incorrect computation of deltas). A safe way to collect changes
   * is to store the `changes` or the `delta` object. Avoid storing the `transaction` object.
   *
   * @type {{added:Set<Item>,deleted:Set<Item>,keys:Map<string,{action:'add'|'update'|'delete',oldValue:any}>,delta:Array<{insert?:Array<any>|string, delete?:number, retain?:number}>}}
   */
  get changes() {
    let changes = this._changes;
    if (changes === null) {
      if (this.transaction.doc._transactionCleanups.length === 0) {
        throw create2(errorComputeChanges);
      }
      const target = this.target;
      const added = create();
      const deleted = create();
      const delta = [];
      changes = {
        added,
        deleted,
        delta,
        keys: this.keys
      };
      const changed = (
        /** @type Set<string|null> */
        this.transaction.changed.get(target)
      );
      if (changed.has(null)) {
        let lastOp = null;
        const packOp = () => {
          if (lastOp) {
            delta.push(lastOp);
          }
        };
        for (let item = target._start; item !== null; item = item.right) {
          if (item.deleted) {
            if (this.deletes(item) && !this.adds(item)) {
              if (lastOp === null || lastOp.delete === void 0) {
                packOp();
                lastOp = { delete: 0 };
              }
              lastOp.delete += item.length;
              deleted.add(item);
            }
          } else {
            if (this.adds(item)) {
              if (lastOp === null || lastOp.insert === void 0) {
                packOp();
                lastOp = { insert: [] };
              }
              lastOp.insert = lastOp.insert.concat(item.content.getContent());
              added.add(item);
            } else {
              if (lastOp === null || lastOp.retain === void 0) {
                packOp();
                lastOp = { retain: 0 };
              }
              lastOp.retain += item.length;
            }
          }
        }
        if (lastOp !== null && lastOp.retain === void 0) {
          packOp();
        }
      }
      this._changes = changes;
    }
    return (
      /** @type {any} */
      changes
    );
  }
};
var getPathTo = (parent, child2) => {
  const path = [];
  while (child2._item !== null && child2 !== parent) {
    if (child2._item.parentSub !== null) {
      path.unshift(child2._item.parentSub);
    } else {
      let i = 0;
      let c = (
        /** @type {AbstractType<any>} */
        child2._item.parent._start
      );
      while (c !== child2._item && c !== null) {
        if (!c.deleted && c.countable) {
          i += c.length;
        }
        c = c.right;
      }
      path.unshift(i);
    }
    child2 = /** @type {AbstractType<any>} */
    child2._item.parent;
  }
  return path;
};
var warnPrematureAccess = () => {
  warn("Invalid access: Add Yjs type to a document before reading data.");
};
var maxSearchMarker = 80;
var globalSearchMarkerTimestamp = 0;
var ArraySearchMarker = class {
  /**
   * @param {Item} p
   * @param {number} index
   */
  constructor(p, index) {
    p.marker = true;
    this.p = p;
    this.index = index;
    this.timestamp = globalSearchMarkerTimestamp++;
  }
};
var refreshMarkerTimestamp = (marker) => {
  marker.timestamp = globalSearchMarkerTimestamp++;
};
var overwriteMarker = (marker, p, index) => {
  marker.p.marker = false;
  marker.p = p;
  p.marker = true;
  marker.index = index;
  marker.timestamp = globalSearchMarkerTimestamp++;
};
var markPosition = (searchMarker, p, index) => {
  if (searchMarker.length >= maxSearchMarker) {
    const marker = searchMarker.reduce((a, b) => a.timestamp < b.timestamp ? a : b);
    overwriteMarker(marker, p, index);
    return marker;
  } else {
    const pm = new ArraySearchMarker(p, index);
    searchMarker.push(pm);
    return pm;
  }
};
var findMarker = (yarray, index) => {
  if (yarray._start === null || index === 0 || yarray._searchMarker === null) {
    return null;
  }
  const marker = yarray._searchMarker.length === 0 ? null : yarray._searchMarker.reduce((a, b) => abs(index - a.index) < abs(index - b.index) ? a : b);
  let p = yarray._start;
  let pindex = 0;
  if (marker !== null) {
    p = marker.p;
    pindex = marker.index;
    refreshMarkerTimestamp(marker);
  }
  while (p.right !== null && pindex < index) {
    if (!p.deleted && p.countable) {
      if (index < pindex + p.length) {
        break;
      }
      pindex += p.length;
    }
    p = p.right;
  }
  while (p.left !== null && pindex > index) {
    p = p.left;
    if (!p.deleted && p.countable) {
      pindex -= p.length;
    }
  }
  while (p.left !== null && p.left.id.client === p.id.client && p.left.id.clock + p.left.length === p.id.clock) {
    p = p.left;
    if (!p.deleted && p.countable) {
      pindex -= p.length;
    }
  }
  if (marker !== null && abs(marker.index - pindex) < /** @type {YText|YArray<any>} */
  p.parent.length / maxSearchMarker) {
    overwriteMarker(marker, p, pindex);
    return marker;
  } else {
    return markPosition(yarray._searchMarker, p, pindex);
  }
};
var updateMarkerChanges = (searchMarker, index, len) => {
  for (let i = searchMarker.length - 1; i >= 0; i--) {
    const m = searchMarker[i];
    if (len > 0) {
      let p = m.p;
      p.marker = false;
      while (p && (p.deleted || !p.countable)) {
        p = p.left;
        if (p && !p.deleted && p.countable) {
          m.index -= p.length;
        }
      }
      if (p === null || p.marker === true) {
        searchMarker.splice(i, 1);
        continue;
      }
      m.p = p;
      p.marker = true;
    }
    if (index < m.index || len > 0 && index === m.index) {
      m.index = max(index, m.index + len);
    }
  }
};
var callTypeObservers = (type, transaction, event) => {
  const changedType = type;
  const changedParentTypes = transaction.changedParentTypes;
  while (true) {
    setIfUndefined(changedParentTypes, type, () => []).push(event);
    if (type._item === null) {
      break;
    }
    type = /** @type {AbstractType<any>} */
    type._item.parent;
  }
  callEventHandlerListeners(changedType._eH, event, transaction);
};
var AbstractType = class {
  constructor() {
    this._item = null;
    this._map = /* @__PURE__ */ new Map();
    this._start = null;
    this.doc = null;
    this._length = 0;
    this._eH = createEventHandler();
    this._dEH = createEventHandler();
    this._searchMarker = null;
  }
  /**
   * @return {AbstractType<any>|null}
   */
  get parent() {
    return this._item ? (
      /** @type {AbstractType<any>} */
      this._item.parent
    ) : null;
  }
  /**
   * Integrate this type into the Yjs instance.
   *
   * * Save this struct in the os
   * * This type is sent to other client
   * * Observer functions are fired
   *
   * @param {Doc} y The Yjs instance
   * @param {Item|null} item
   */
  _integrate(y, item) {
    this.doc = y;
    this._item = item;
  }
  /**
   * @return {AbstractType<EventType>}
   */
  _copy() {
    throw methodUnimplemented();
  }
  /**
   * Makes a copy of this data type that can be included somewhere else.
   *
   * Note that the content is only readable _after_ it has been included somewhere in the Ydoc.
   *
   * @return {AbstractType<EventType>}
   */
  clone() {
    throw methodUnimplemented();
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} _encoder
   */
  _write(_encoder) {
  }
  /**
   * The first non-deleted item
   */
  get _first() {
    let n = this._start;
    while (n !== null && n.deleted) {
      n = n.right;
    }
    return n;
  }
  /**
   * Creates YEvent and calls all type observers.
   * Must be implemented by each type.
   *
   * @param {Transaction} transaction
   * @param {Set<null|string>} _parentSubs Keys changed on this type. `null` if list was modified.
   */
  _callObserver(transaction, _parentSubs) {
    if (!transaction.local && this._searchMarker) {
      this._searchMarker.length = 0;
    }
  }
  /**
   * Observe all events that are created on this type.
   *
   * @param {function(EventType, Transaction):void} f Observer function
   */
  observe(f) {
    addEventHandlerListener(this._eH, f);
  }
  /**
   * Observe all events that are created by this type and its children.
   *
   * @param {function(Array<YEvent<any>>,Transaction):void} f Observer function
   */
  observeDeep(f) {
    addEventHandlerListener(this._dEH, f);
  }
  /**
   * Unregister an observer function.
   *
   * @param {function(EventType,Transaction):void} f Observer function
   */
  unobserve(f) {
    removeEventHandlerListener(this._eH, f);
  }
  /**
   * Unregister an observer function.
   *
   * @param {function(Array<YEvent<any>>,Transaction):void} f Observer function
   */
  unobserveDeep(f) {
    removeEventHandlerListener(this._dEH, f);
  }
  /**
   * @abstract
   * @return {any}
   */
  toJSON() {
  }
};
var typeListSlice = (type, start, end) => {
  type.doc ?? warnPrematureAccess();
  if (start < 0) {
    start = type._length + start;
  }
  if (end < 0) {
    end = type._length + end;
  }
  let len = end - start;
  const cs = [];
  let n = type._start;
  while (n !== null && len > 0) {
    if (n.countable && !n.deleted) {
      const c = n.content.getContent();
      if (c.length <= start) {
        start -= c.length;
      } else {
        for (let i = start; i < c.length && len > 0; i++) {
          cs.push(c[i]);
          len--;
        }
        start = 0;
      }
    }
    n = n.right;
  }
  return cs;
};
var typeListToArray = (type) => {
  type.doc ?? warnPrematureAccess();
  const cs = [];
  let n = type._start;
  while (n !== null) {
    if (n.countable && !n.deleted) {
      const c = n.content.getContent();
      for (let i = 0; i < c.length; i++) {
        cs.push(c[i]);
      }
    }
    n = n.right;
  }
  return cs;
};
var typeListForEach = (type, f) => {
  let index = 0;
  let n = type._start;
  type.doc ?? warnPrematureAccess();
  while (n !== null) {
    if (n.countable && !n.deleted) {
      const c = n.content.getContent();
      for (let i = 0; i < c.length; i++) {
        f(c[i], index++, type);
      }
    }
    n = n.right;
  }
};
var typeListMap = (type, f) => {
  const result = [];
  typeListForEach(type, (c, i) => {
    result.push(f(c, i, type));
  });
  return result;
};
var typeListCreateIterator = (type) => {
  let n = type._start;
  let currentContent = null;
  let currentContentIndex = 0;
  return {
    [Symbol.iterator]() {
      return this;
    },
    next: () => {
      if (currentContent === null) {
        while (n !== null && n.deleted) {
          n = n.right;
        }
        if (n === null) {
          return {
            done: true,
            value: void 0
          };
        }
        currentContent = n.content.getContent();
        currentContentIndex = 0;
        n = n.right;
      }
      const value = currentContent[currentContentIndex++];
      if (currentContent.length <= currentContentIndex) {
        currentContent = null;
      }
      return {
        done: false,
        value
      };
    }
  };
};
var typeListGet = (type, index) => {
  type.doc ?? warnPrematureAccess();
  const marker = findMarker(type, index);
  let n = type._start;
  if (marker !== null) {
    n = marker.p;
    index -= marker.index;
  }
  for (; n !== null; n = n.right) {
    if (!n.deleted && n.countable) {
      if (index < n.length) {
        return n.content.getContent()[index];
      }
      index -= n.length;
    }
  }
};
var typeListInsertGenericsAfter = (transaction, parent, referenceItem, content) => {
  let left = referenceItem;
  const doc2 = transaction.doc;
  const ownClientId = doc2.clientID;
  const store = doc2.store;
  const right = referenceItem === null ? parent._start : referenceItem.right;
  let jsonContent = [];
  const packJsonContent = () => {
    if (jsonContent.length > 0) {
      left = new Item(createID(ownClientId, getState(store, ownClientId)), left, left && left.lastId, right, right && right.id, parent, null, new ContentAny(jsonContent));
      left.integrate(transaction, 0);
      jsonContent = [];
    }
  };
  content.forEach((c) => {
    if (c === null) {
      jsonContent.push(c);
    } else {
      switch (c.constructor) {
        case Number:
        case Object:
        case Boolean:
        case Array:
        case String:
          jsonContent.push(c);
          break;
        default:
          packJsonContent();
          switch (c.constructor) {
            case Uint8Array:
            case ArrayBuffer:
              left = new Item(createID(ownClientId, getState(store, ownClientId)), left, left && left.lastId, right, right && right.id, parent, null, new ContentBinary(new Uint8Array(
                /** @type {Uint8Array} */
                c
              )));
              left.integrate(transaction, 0);
              break;
            case Doc:
              left = new Item(createID(ownClientId, getState(store, ownClientId)), left, left && left.lastId, right, right && right.id, parent, null, new ContentDoc(
                /** @type {Doc} */
                c
              ));
              left.integrate(transaction, 0);
              break;
            default:
              if (c instanceof AbstractType) {
                left = new Item(createID(ownClientId, getState(store, ownClientId)), left, left && left.lastId, right, right && right.id, parent, null, new ContentType(c));
                left.integrate(transaction, 0);
              } else {
                throw new Error("Unexpected content type in insert operation");
              }
          }
      }
    }
  });
  packJsonContent();
};
var lengthExceeded = () => create2("Length exceeded!");
var typeListInsertGenerics = (transaction, parent, index, content) => {
  if (index > parent._length) {
    throw lengthExceeded();
  }
  if (index === 0) {
    if (parent._searchMarker) {
      updateMarkerChanges(parent._searchMarker, index, content.length);
    }
    return typeListInsertGenericsAfter(transaction, parent, null, content);
  }
  const startIndex = index;
  const marker = findMarker(parent, index);
  let n = parent._start;
  if (marker !== null) {
    n = marker.p;
    index -= marker.index;
    if (index === 0) {
      n = n.prev;
      index += n && n.countable && !n.deleted ? n.length : 0;
    }
  }
  for (; n !== null; n = n.right) {
    if (!n.deleted && n.countable) {
      if (index <= n.length) {
        if (index < n.length) {
          getItemCleanStart(transaction, createID(n.id.client, n.id.clock + index));
        }
        break;
      }
      index -= n.length;
    }
  }
  if (parent._searchMarker) {
    updateMarkerChanges(parent._searchMarker, startIndex, content.length);
  }
  return typeListInsertGenericsAfter(transaction, parent, n, content);
};
var typeListPushGenerics = (transaction, parent, content) => {
  const marker = (parent._searchMarker || []).reduce((maxMarker, currMarker) => currMarker.index > maxMarker.index ? currMarker : maxMarker, { index: 0, p: parent._start });
  let n = marker.p;
  if (n) {
    while (n.right) {
      n = n.right;
    }
  }
  return typeListInsertGenericsAfter(transaction, parent, n, content);
};
var typeListDelete = (transaction, parent, index, length2) => {
  if (length2 === 0) {
    return;
  }
  const startIndex = index;
  const startLength = length2;
  const marker = findMarker(parent, index);
  let n = parent._start;
  if (marker !== null) {
    n = marker.p;
    index -= marker.index;
  }
  for (; n !== null && index > 0; n = n.right) {
    if (!n.deleted && n.countable) {
      if (index < n.length) {
        getItemCleanStart(transaction, createID(n.id.client, n.id.clock + index));
      }
      index -= n.length;
    }
  }
  while (length2 > 0 && n !== null) {
    if (!n.deleted) {
      if (length2 < n.length) {
        getItemCleanStart(transaction, createID(n.id.client, n.id.clock + length2));
      }
      n.delete(transaction);
      length2 -= n.length;
    }
    n = n.right;
  }
  if (length2 > 0) {
    throw lengthExceeded();
  }
  if (parent._searchMarker) {
    updateMarkerChanges(
      parent._searchMarker,
      startIndex,
      -startLength + length2
      /* in case we remove the above exception */
    );
  }
};
var typeMapDelete = (transaction, parent, key) => {
  const c = parent._map.get(key);
  if (c !== void 0) {
    c.delete(transaction);
  }
};
var typeMapSet = (transaction, parent, key, value) => {
  const left = parent._map.get(key) || null;
  const doc2 = transaction.doc;
  const ownClientId = doc2.clientID;
  let content;
  if (value == null) {
    content = new ContentAny([value]);
  } else {
    switch (value.constructor) {
      case Number:
      case Object:
      case Boolean:
      case Array:
      case String:
      case Date:
      case BigInt:
        content = new ContentAny([value]);
        break;
      case Uint8Array:
        content = new ContentBinary(
          /** @type {Uint8Array} */
          value
        );
        break;
      case Doc:
        content = new ContentDoc(
          /** @type {Doc} */
          value
        );
        break;
      default:
        if (value instanceof AbstractType) {
          content = new ContentType(value);
        } else {
          throw new Error("Unexpected content type");
        }
    }
  }
  new Item(createID(ownClientId, getState(doc2.store, ownClientId)), left, left && left.lastId, null, null, parent, key, content).integrate(transaction, 0);
};
var typeMapGet = (parent, key) => {
  parent.doc ?? warnPrematureAccess();
  const val = parent._map.get(key);
  return val !== void 0 && !val.deleted ? val.content.getContent()[val.length - 1] : void 0;
};
var typeMapGetAll = (parent) => {
  const res = {};
  parent.doc ?? warnPrematureAccess();
  parent._map.forEach((value, key) => {
    if (!value.deleted) {
      res[key] = value.content.getContent()[value.length - 1];
    }
  });
  return res;
};
var typeMapHas = (parent, key) => {
  parent.doc ?? warnPrematureAccess();
  const val = parent._map.get(key);
  return val !== void 0 && !val.deleted;
};
var typeMapGetAllSnapshot = (parent, snapshot) => {
  const res = {};
  parent._map.forEach((value, key) => {
    let v = value;
    while (v !== null && (!snapshot.sv.has(v.id.client) || v.id.clock >= (snapshot.sv.get(v.id.client) || 0))) {
      v = v.left;
    }
    if (v !== null && isVisible(v, snapshot)) {
      res[key] = v.content.getContent()[v.length - 1];
    }
  });
  return res;
};
var createMapIterator = (type) => {
  type.doc ?? warnPrematureAccess();
  return iteratorFilter(
    type._map.entries(),
    /** @param {any} entry */
    (entry) => !entry[1].deleted
  );
};
var YArrayEvent = class extends YEvent {
};
var YArray = class _YArray extends AbstractType {
  constructor() {
    super();
    this._prelimContent = [];
    this._searchMarker = [];
  }
  /**
   * Construct a new YArray containing the specified items.
   * @template {Object<string,any>|Array<any>|number|null|string|Uint8Array} T
   * @param {Array<T>} items
   * @return {YArray<T>}
   */
  static from(items2) {
    const a = new _YArray();
    a.push(items2);
    return a;
  }
  /**
   * Integrate this type into the Yjs instance.
   *
   * * Save this struct in the os
   * * This type is sent to other client
   * * Observer functions are fired
   *
   * @param {Doc} y The Yjs instance
   * @param {Item} item
   */
  _integrate(y, item) {
    super._integrate(y, item);
    this.insert(
      0,
      /** @type {Array<any>} */
      this._prelimContent
    );
    this._prelimContent = null;
  }
  /**
   * @return {YArray<T>}
   */
  _copy() {
    return new _YArray();
  }
  /**
   * Makes a copy of this data type that can be included somewhere else.
   *
   * Note that the content is only readable _after_ it has been included somewhere in the Ydoc.
   *
   * @return {YArray<T>}
   */
  clone() {
    const arr = new _YArray();
    arr.insert(0, this.toArray().map(
      (el) => el instanceof AbstractType ? (
        /** @type {typeof el} */
        el.clone()
      ) : el
    ));
    return arr;
  }
  get length() {
    this.doc ?? warnPrematureAccess();
    return this._length;
  }
  /**
   * Creates YArrayEvent and calls observers.
   *
   * @param {Transaction} transaction
   * @param {Set<null|string>} parentSubs Keys changed on this type. `null` if list was modified.
   */
  _callObserver(transaction, parentSubs) {
    super._callObserver(transaction, parentSubs);
    callTypeObservers(this, transaction, new YArrayEvent(this, transaction));
  }
  /**
   * Inserts new content at an index.
   *
   * Important: This function expects an array of content. Not just a content
   * object. The reason for this "weirdness" is that inserting several elements
   * is very efficient when it is done as a single operation.
   *
   * @example
   *  // Insert character 'a' at position 0
   *  yarray.insert(0, ['a'])
   *  // Insert numbers 1, 2 at position 1
   *  yarray.insert(1, [1, 2])
   *
   * @param {number} index The index to insert content at.
   * @param {Array<T>} content The array of content
   */
  insert(index, content) {
    if (this.doc !== null) {
      transact(this.doc, (transaction) => {
        typeListInsertGenerics(
          transaction,
          this,
          index,
          /** @type {any} */
          content
        );
      });
    } else {
      this._prelimContent.splice(index, 0, ...content);
    }
  }
  /**
   * Appends content to this YArray.
   *
   * @param {Array<T>} content Array of content to append.
   *
   * @todo Use the following implementation in all types.
   */
  push(content) {
    if (this.doc !== null) {
      transact(this.doc, (transaction) => {
        typeListPushGenerics(
          transaction,
          this,
          /** @type {any} */
          content
        );
      });
    } else {
      this._prelimContent.push(...content);
    }
  }
  /**
   * Prepends content to this YArray.
   *
   * @param {Array<T>} content Array of content to prepend.
   */
  unshift(content) {
    this.insert(0, content);
  }
  /**
   * Deletes elements starting from an index.
   *
   * @param {number} index Index at which to start deleting elements
   * @param {number} length The number of elements to remove. Defaults to 1.
   */
  delete(index, length2 = 1) {
    if (this.doc !== null) {
      transact(this.doc, (transaction) => {
        typeListDelete(transaction, this, index, length2);
      });
    } else {
      this._prelimContent.splice(index, length2);
    }
  }
  /**
   * Returns the i-th element from a YArray.
   *
   * @param {number} index The index of the element to return from the YArray
   * @return {T}
   */
  get(index) {
    return typeListGet(this, index);
  }
  /**
   * Transforms this YArray to a JavaScript Array.
   *
   * @return {Array<T>}
   */
  toArray() {
    return typeListToArray(this);
  }
  /**
   * Returns a portion of this YArray into a JavaScript Array selected
   * from start to end (end not included).
   *
   * @param {number} [start]
   * @param {number} [end]
   * @return {Array<T>}
   */
  slice(start = 0, end = this.length) {
    return typeListSlice(this, start, end);
  }
  /**
   * Transforms this Shared Type to a JSON object.
   *
   * @return {Array<any>}
   */
  toJSON() {
    return this.map((c) => c instanceof AbstractType ? c.toJSON() : c);
  }
  /**
   * Returns an Array with the result of calling a provided function on every
   * element of this YArray.
   *
   * @template M
   * @param {function(T,number,YArray<T>):M} f Function that produces an element of the new Array
   * @return {Array<M>} A new array with each element being the result of the
   *                 callback function
   */
  map(f) {
    return typeListMap(
      this,
      /** @type {any} */
      f
    );
  }
  /**
   * Executes a provided function once on every element of this YArray.
   *
   * @param {function(T,number,YArray<T>):void} f A function to execute on every element of this YArray.
   */
  forEach(f) {
    typeListForEach(this, f);
  }
  /**
   * @return {IterableIterator<T>}
   */
  [Symbol.iterator]() {
    return typeListCreateIterator(this);
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder
   */
  _write(encoder3) {
    encoder3.writeTypeRef(YArrayRefID);
  }
};
var readYArray = (_decoder) => new YArray();
var YMapEvent = class extends YEvent {
  /**
   * @param {YMap<T>} ymap The YArray that changed.
   * @param {Transaction} transaction
   * @param {Set<any>} subs The keys that changed.
   */
  constructor(ymap, transaction, subs) {
    super(ymap, transaction);
    this.keysChanged = subs;
  }
};
var YMap = class _YMap extends AbstractType {
  /**
   *
   * @param {Iterable<readonly [string, any]>=} entries - an optional iterable to initialize the YMap
   */
  constructor(entries) {
    super();
    this._prelimContent = null;
    if (entries === void 0) {
      this._prelimContent = /* @__PURE__ */ new Map();
    } else {
      this._prelimContent = new Map(entries);
    }
  }
  /**
   * Integrate this type into the Yjs instance.
   *
   * * Save this struct in the os
   * * This type is sent to other client
   * * Observer functions are fired
   *
   * @param {Doc} y The Yjs instance
   * @param {Item} item
   */
  _integrate(y, item) {
    super._integrate(y, item);
    this._prelimContent.forEach((value, key) => {
      this.set(key, value);
    });
    this._prelimContent = null;
  }
  /**
   * @return {YMap<MapType>}
   */
  _copy() {
    return new _YMap();
  }
  /**
   * Makes a copy of this data type that can be included somewhere else.
   *
   * Note that the content is only readable _after_ it has been included somewhere in the Ydoc.
   *
   * @return {YMap<MapType>}
   */
  clone() {
    const map2 = new _YMap();
    this.forEach((value, key) => {
      map2.set(key, value instanceof AbstractType ? (
        /** @type {typeof value} */
        value.clone()
      ) : value);
    });
    return map2;
  }
  /**
   * Creates YMapEvent and calls observers.
   *
   * @param {Transaction} transaction
   * @param {Set<null|string>} parentSubs Keys changed on this type. `null` if list was modified.
   */
  _callObserver(transaction, parentSubs) {
    callTypeObservers(this, transaction, new YMapEvent(this, transaction, parentSubs));
  }
  /**
   * Transforms this Shared Type to a JSON object.
   *
   * @return {Object<string,any>}
   */
  toJSON() {
    this.doc ?? warnPrematureAccess();
    const map2 = {};
    this._map.forEach((item, key) => {
      if (!item.deleted) {
        const v = item.content.getContent()[item.length - 1];
        map2[key] = v instanceof AbstractType ? v.toJSON() : v;
      }
    });
    return map2;
  }
  /**
   * Returns the size of the YMap (count of key/value pairs)
   *
   * @return {number}
   */
  get size() {
    return [...createMapIterator(this)].length;
  }
  /**
   * Returns the keys for each element in the YMap Type.
   *
   * @return {IterableIterator<string>}
   */
  keys() {
    return iteratorMap(
      createMapIterator(this),
      /** @param {any} v */
      (v) => v[0]
    );
  }
  /**
   * Returns the values for each element in the YMap Type.
   *
   * @return {IterableIterator<MapType>}
   */
  values() {
    return iteratorMap(
      createMapIterator(this),
      /** @param {any} v */
      (v) => v[1].content.getContent()[v[1].length - 1]
    );
  }
  /**
   * Returns an Iterator of [key, value] pairs
   *
   * @return {IterableIterator<[string, MapType]>}
   */
  entries() {
    return iteratorMap(
      createMapIterator(this),
      /** @param {any} v */
      (v) => (
        /** @type {any} */
        [v[0], v[1].content.getContent()[v[1].length - 1]]
      )
    );
  }
  /**
   * Executes a provided function on once on every key-value pair.
   *
   * @param {function(MapType,string,YMap<MapType>):void} f A function to execute on every element of this YArray.
   */
  forEach(f) {
    this.doc ?? warnPrematureAccess();
    this._map.forEach((item, key) => {
      if (!item.deleted) {
        f(item.content.getContent()[item.length - 1], key, this);
      }
    });
  }
  /**
   * Returns an Iterator of [key, value] pairs
   *
   * @return {IterableIterator<[string, MapType]>}
   */
  [Symbol.iterator]() {
    return this.entries();
  }
  /**
   * Remove a specified element from this YMap.
   *
   * @param {string} key The key of the element to remove.
   */
  delete(key) {
    if (this.doc !== null) {
      transact(this.doc, (transaction) => {
        typeMapDelete(transaction, this, key);
      });
    } else {
      this._prelimContent.delete(key);
    }
  }
  /**
   * Adds or updates an element with a specified key and value.
   * @template {MapType} VAL
   *
   * @param {string} key The key of the element to add to this YMap
   * @param {VAL} value The value of the element to add
   * @return {VAL}
   */
  set(key, value) {
    if (this.doc !== null) {
      transact(this.doc, (transaction) => {
        typeMapSet(
          transaction,
          this,
          key,
          /** @type {any} */
          value
        );
      });
    } else {
      this._prelimContent.set(key, value);
    }
    return value;
  }
  /**
   * Returns a specified element from this YMap.
   *
   * @param {string} key
   * @return {MapType|undefined}
   */
  get(key) {
    return (
      /** @type {any} */
      typeMapGet(this, key)
    );
  }
  /**
   * Returns a boolean indicating whether the specified key exists or not.
   *
   * @param {string} key The key to test.
   * @return {boolean}
   */
  has(key) {
    return typeMapHas(this, key);
  }
  /**
   * Removes all elements from this YMap.
   */
  clear() {
    if (this.doc !== null) {
      transact(this.doc, (transaction) => {
        this.forEach(function(_value, key, map2) {
          typeMapDelete(transaction, map2, key);
        });
      });
    } else {
      this._prelimContent.clear();
    }
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder
   */
  _write(encoder3) {
    encoder3.writeTypeRef(YMapRefID);
  }
};
var readYMap = (_decoder) => new YMap();
var equalAttrs = (a, b) => a === b || typeof a === "object" && typeof b === "object" && a && b && equalFlat(a, b);
var ItemTextListPosition = class {
  /**
   * @param {Item|null} left
   * @param {Item|null} right
   * @param {number} index
   * @param {Map<string,any>} currentAttributes
   */
  constructor(left, right, index, currentAttributes) {
    this.left = left;
    this.right = right;
    this.index = index;
    this.currentAttributes = currentAttributes;
  }
  /**
   * Only call this if you know that this.right is defined
   */
  forward() {
    if (this.right === null) {
      unexpectedCase();
    }
    switch (this.right.content.constructor) {
      case ContentFormat:
        if (!this.right.deleted) {
          updateCurrentAttributes(
            this.currentAttributes,
            /** @type {ContentFormat} */
            this.right.content
          );
        }
        break;
      default:
        if (!this.right.deleted) {
          this.index += this.right.length;
        }
        break;
    }
    this.left = this.right;
    this.right = this.right.right;
  }
};
var findNextPosition = (transaction, pos, count) => {
  while (pos.right !== null && count > 0) {
    switch (pos.right.content.constructor) {
      case ContentFormat:
        if (!pos.right.deleted) {
          updateCurrentAttributes(
            pos.currentAttributes,
            /** @type {ContentFormat} */
            pos.right.content
          );
        }
        break;
      default:
        if (!pos.right.deleted) {
          if (count < pos.right.length) {
            getItemCleanStart(transaction, createID(pos.right.id.client, pos.right.id.clock + count));
          }
          pos.index += pos.right.length;
          count -= pos.right.length;
        }
        break;
    }
    pos.left = pos.right;
    pos.right = pos.right.right;
  }
  return pos;
};
var findPosition = (transaction, parent, index, useSearchMarker) => {
  const currentAttributes = /* @__PURE__ */ new Map();
  const marker = useSearchMarker ? findMarker(parent, index) : null;
  if (marker) {
    const pos = new ItemTextListPosition(marker.p.left, marker.p, marker.index, currentAttributes);
    return findNextPosition(transaction, pos, index - marker.index);
  } else {
    const pos = new ItemTextListPosition(null, parent._start, 0, currentAttributes);
    return findNextPosition(transaction, pos, index);
  }
};
var insertNegatedAttributes = (transaction, parent, currPos, negatedAttributes) => {
  while (currPos.right !== null && (currPos.right.deleted === true || currPos.right.content.constructor === ContentFormat && equalAttrs(
    negatedAttributes.get(
      /** @type {ContentFormat} */
      currPos.right.content.key
    ),
    /** @type {ContentFormat} */
    currPos.right.content.value
  ))) {
    if (!currPos.right.deleted) {
      negatedAttributes.delete(
        /** @type {ContentFormat} */
        currPos.right.content.key
      );
    }
    currPos.forward();
  }
  const doc2 = transaction.doc;
  const ownClientId = doc2.clientID;
  negatedAttributes.forEach((val, key) => {
    const left = currPos.left;
    const right = currPos.right;
    const nextFormat = new Item(createID(ownClientId, getState(doc2.store, ownClientId)), left, left && left.lastId, right, right && right.id, parent, null, new ContentFormat(key, val));
    nextFormat.integrate(transaction, 0);
    currPos.right = nextFormat;
    currPos.forward();
  });
};
var updateCurrentAttributes = (currentAttributes, format) => {
  const { key, value } = format;
  if (value === null) {
    currentAttributes.delete(key);
  } else {
    currentAttributes.set(key, value);
  }
};
var minimizeAttributeChanges = (currPos, attributes) => {
  while (true) {
    if (currPos.right === null) {
      break;
    } else if (currPos.right.deleted || currPos.right.content.constructor === ContentFormat && equalAttrs(
      attributes[
        /** @type {ContentFormat} */
        currPos.right.content.key
      ] ?? null,
      /** @type {ContentFormat} */
      currPos.right.content.value
    )) ;
    else {
      break;
    }
    currPos.forward();
  }
};
var insertAttributes = (transaction, parent, currPos, attributes) => {
  const doc2 = transaction.doc;
  const ownClientId = doc2.clientID;
  const negatedAttributes = /* @__PURE__ */ new Map();
  for (const key in attributes) {
    const val = attributes[key];
    const currentVal = currPos.currentAttributes.get(key) ?? null;
    if (!equalAttrs(currentVal, val)) {
      negatedAttributes.set(key, currentVal);
      const { left, right } = currPos;
      currPos.right = new Item(createID(ownClientId, getState(doc2.store, ownClientId)), left, left && left.lastId, right, right && right.id, parent, null, new ContentFormat(key, val));
      currPos.right.integrate(transaction, 0);
      currPos.forward();
    }
  }
  return negatedAttributes;
};
var insertText = (transaction, parent, currPos, text3, attributes) => {
  currPos.currentAttributes.forEach((_val, key) => {
    if (attributes[key] === void 0) {
      attributes[key] = null;
    }
  });
  const doc2 = transaction.doc;
  const ownClientId = doc2.clientID;
  minimizeAttributeChanges(currPos, attributes);
  const negatedAttributes = insertAttributes(transaction, parent, currPos, attributes);
  const content = text3.constructor === String ? new ContentString(
    /** @type {string} */
    text3
  ) : text3 instanceof AbstractType ? new ContentType(text3) : new ContentEmbed(text3);
  let { left, right, index } = currPos;
  if (parent._searchMarker) {
    updateMarkerChanges(parent._searchMarker, currPos.index, content.getLength());
  }
  right = new Item(createID(ownClientId, getState(doc2.store, ownClientId)), left, left && left.lastId, right, right && right.id, parent, null, content);
  right.integrate(transaction, 0);
  currPos.right = right;
  currPos.index = index;
  currPos.forward();
  insertNegatedAttributes(transaction, parent, currPos, negatedAttributes);
};
var formatText = (transaction, parent, currPos, length2, attributes) => {
  const doc2 = transaction.doc;
  const ownClientId = doc2.clientID;
  minimizeAttributeChanges(currPos, attributes);
  const negatedAttributes = insertAttributes(transaction, parent, currPos, attributes);
  iterationLoop: while (currPos.right !== null && (length2 > 0 || negatedAttributes.size > 0 && (currPos.right.deleted || currPos.right.content.constructor === ContentFormat))) {
    if (!currPos.right.deleted) {
      switch (currPos.right.content.constructor) {
        case ContentFormat: {
          const { key, value } = (
            /** @type {ContentFormat} */
            currPos.right.content
          );
          const attr = attributes[key];
          if (attr !== void 0) {
            if (equalAttrs(attr, value)) {
              negatedAttributes.delete(key);
            } else {
              if (length2 === 0) {
                break iterationLoop;
              }
              negatedAttributes.set(key, value);
            }
            currPos.right.delete(transaction);
          } else {
            currPos.currentAttributes.set(key, value);
          }
          break;
        }
        default:
          if (length2 < currPos.right.length) {
            getItemCleanStart(transaction, createID(currPos.right.id.client, currPos.right.id.clock + length2));
          }
          length2 -= currPos.right.length;
          break;
      }
    }
    currPos.forward();
  }
  if (length2 > 0) {
    let newlines = "";
    for (; length2 > 0; length2--) {
      newlines += "\n";
    }
    currPos.right = new Item(createID(ownClientId, getState(doc2.store, ownClientId)), currPos.left, currPos.left && currPos.left.lastId, currPos.right, currPos.right && currPos.right.id, parent, null, new ContentString(newlines));
    currPos.right.integrate(transaction, 0);
    currPos.forward();
  }
  insertNegatedAttributes(transaction, parent, currPos, negatedAttributes);
};
var cleanupFormattingGap = (transaction, start, curr, startAttributes, currAttributes) => {
  let end = start;
  const endFormats = create3();
  while (end && (!end.countable || end.deleted)) {
    if (!end.deleted && end.content.constructor === ContentFormat) {
      const cf = (
        /** @type {ContentFormat} */
        end.content
      );
      endFormats.set(cf.key, cf);
    }
    end = end.right;
  }
  let cleanups = 0;
  let reachedCurr = false;
  while (start !== end) {
    if (curr === start) {
      reachedCurr = true;
    }
    if (!start.deleted) {
      const content = start.content;
      switch (content.constructor) {
        case ContentFormat: {
          const { key, value } = (
            /** @type {ContentFormat} */
            content
          );
          const startAttrValue = startAttributes.get(key) ?? null;
          if (endFormats.get(key) !== content || startAttrValue === value) {
            start.delete(transaction);
            cleanups++;
            if (!reachedCurr && (currAttributes.get(key) ?? null) === value && startAttrValue !== value) {
              if (startAttrValue === null) {
                currAttributes.delete(key);
              } else {
                currAttributes.set(key, startAttrValue);
              }
            }
          }
          if (!reachedCurr && !start.deleted) {
            updateCurrentAttributes(
              currAttributes,
              /** @type {ContentFormat} */
              content
            );
          }
          break;
        }
      }
    }
    start = /** @type {Item} */
    start.right;
  }
  return cleanups;
};
var cleanupContextlessFormattingGap = (transaction, item) => {
  while (item && item.right && (item.right.deleted || !item.right.countable)) {
    item = item.right;
  }
  const attrs = /* @__PURE__ */ new Set();
  while (item && (item.deleted || !item.countable)) {
    if (!item.deleted && item.content.constructor === ContentFormat) {
      const key = (
        /** @type {ContentFormat} */
        item.content.key
      );
      if (attrs.has(key)) {
        item.delete(transaction);
      } else {
        attrs.add(key);
      }
    }
    item = item.left;
  }
};
var cleanupYTextFormatting = (type) => {
  let res = 0;
  transact(
    /** @type {Doc} */
    type.doc,
    (transaction) => {
      let start = (
        /** @type {Item} */
        type._start
      );
      let end = type._start;
      let startAttributes = create3();
      const currentAttributes = copy(startAttributes);
      while (end) {
        if (end.deleted === false) {
          switch (end.content.constructor) {
            case ContentFormat:
              updateCurrentAttributes(
                currentAttributes,
                /** @type {ContentFormat} */
                end.content
              );
              break;
            default:
              res += cleanupFormattingGap(transaction, start, end, startAttributes, currentAttributes);
              startAttributes = copy(currentAttributes);
              start = end;
              break;
          }
        }
        end = end.right;
      }
    }
  );
  return res;
};
var cleanupYTextAfterTransaction = (transaction) => {
  const needFullCleanup = /* @__PURE__ */ new Set();
  const doc2 = transaction.doc;
  for (const [client, afterClock] of transaction.afterState.entries()) {
    const clock = transaction.beforeState.get(client) || 0;
    if (afterClock === clock) {
      continue;
    }
    iterateStructs(
      transaction,
      /** @type {Array<Item|GC>} */
      doc2.store.clients.get(client),
      clock,
      afterClock,
      (item) => {
        if (!item.deleted && /** @type {Item} */
        item.content.constructor === ContentFormat && item.constructor !== GC) {
          needFullCleanup.add(
            /** @type {any} */
            item.parent
          );
        }
      }
    );
  }
  transact(doc2, (t) => {
    iterateDeletedStructs(transaction, transaction.deleteSet, (item) => {
      if (item instanceof GC || !/** @type {YText} */
      item.parent._hasFormatting || needFullCleanup.has(
        /** @type {YText} */
        item.parent
      )) {
        return;
      }
      const parent = (
        /** @type {YText} */
        item.parent
      );
      if (item.content.constructor === ContentFormat) {
        needFullCleanup.add(parent);
      } else {
        cleanupContextlessFormattingGap(t, item);
      }
    });
    for (const yText of needFullCleanup) {
      cleanupYTextFormatting(yText);
    }
  });
};
var deleteText = (transaction, currPos, length2) => {
  const startLength = length2;
  const startAttrs = copy(currPos.currentAttributes);
  const start = currPos.right;
  while (length2 > 0 && currPos.right !== null) {
    if (currPos.right.deleted === false) {
      switch (currPos.right.content.constructor) {
        case ContentType:
        case ContentEmbed:
        case ContentString:
          if (length2 < currPos.right.length) {
            getItemCleanStart(transaction, createID(currPos.right.id.client, currPos.right.id.clock + length2));
          }
          length2 -= currPos.right.length;
          currPos.right.delete(transaction);
          break;
      }
    }
    currPos.forward();
  }
  if (start) {
    cleanupFormattingGap(transaction, start, currPos.right, startAttrs, currPos.currentAttributes);
  }
  const parent = (
    /** @type {AbstractType<any>} */
    /** @type {Item} */
    (currPos.left || currPos.right).parent
  );
  if (parent._searchMarker) {
    updateMarkerChanges(parent._searchMarker, currPos.index, -startLength + length2);
  }
  return currPos;
};
var YTextEvent = class extends YEvent {
  /**
   * @param {YText} ytext
   * @param {Transaction} transaction
   * @param {Set<any>} subs The keys that changed
   */
  constructor(ytext, transaction, subs) {
    super(ytext, transaction);
    this.childListChanged = false;
    this.keysChanged = /* @__PURE__ */ new Set();
    subs.forEach((sub) => {
      if (sub === null) {
        this.childListChanged = true;
      } else {
        this.keysChanged.add(sub);
      }
    });
  }
  /**
   * @type {{added:Set<Item>,deleted:Set<Item>,keys:Map<string,{action:'add'|'update'|'delete',oldValue:any}>,delta:Array<{insert?:Array<any>|string, delete?:number, retain?:number}>}}
   */
  get changes() {
    if (this._changes === null) {
      const changes = {
        keys: this.keys,
        delta: this.delta,
        added: /* @__PURE__ */ new Set(),
        deleted: /* @__PURE__ */ new Set()
      };
      this._changes = changes;
    }
    return (
      /** @type {any} */
      this._changes
    );
  }
  /**
   * Compute the changes in the delta format.
   * A {@link https://quilljs.com/docs/delta/|Quill Delta}) that represents the changes on the document.
   *
   * @type {Array<{insert?:string|object|AbstractType<any>, delete?:number, retain?:number, attributes?: Object<string,any>}>}
   *
   * @public
   */
  get delta() {
    if (this._delta === null) {
      const y = (
        /** @type {Doc} */
        this.target.doc
      );
      const delta = [];
      transact(y, (transaction) => {
        const currentAttributes = /* @__PURE__ */ new Map();
        const oldAttributes = /* @__PURE__ */ new Map();
        let item = this.target._start;
        let action = null;
        const attributes = {};
        let insert = "";
        let retain = 0;
        let deleteLen = 0;
        const addOp = () => {
          if (action !== null) {
            let op = null;
            switch (action) {
              case "delete":
                if (deleteLen > 0) {
                  op = { delete: deleteLen };
                }
                deleteLen = 0;
                break;
              case "insert":
                if (typeof insert === "object" || insert.length > 0) {
                  op = { insert };
                  if (currentAttributes.size > 0) {
                    op.attributes = {};
                    currentAttributes.forEach((value, key) => {
                      if (value !== null) {
                        op.attributes[key] = value;
                      }
                    });
                  }
                }
                insert = "";
                break;
              case "retain":
                if (retain > 0) {
                  op = { retain };
                  if (!isEmpty(attributes)) {
                    op.attributes = assign({}, attributes);
                  }
                }
                retain = 0;
                break;
            }
            if (op) delta.push(op);
            action = null;
          }
        };
        while (item !== null) {
          switch (item.content.constructor) {
            case ContentType:
            case ContentEmbed:
              if (this.adds(item)) {
                if (!this.deletes(item)) {
                  addOp();
                  action = "insert";
                  insert = item.content.getContent()[0];
                  addOp();
                }
              } else if (this.deletes(item)) {
                if (action !== "delete") {
                  addOp();
                  action = "delete";
                }
                deleteLen += 1;
              } else if (!item.deleted) {
                if (action !== "retain") {
                  addOp();
                  action = "retain";
                }
                retain += 1;
              }
              break;
            case ContentString:
              if (this.adds(item)) {
                if (!this.deletes(item)) {
                  if (action !== "insert") {
                    addOp();
                    action = "insert";
                  }
                  insert += /** @type {ContentString} */
                  item.content.str;
                }
              } else if (this.deletes(item)) {
                if (action !== "delete") {
                  addOp();
                  action = "delete";
                }
                deleteLen += item.length;
              } else if (!item.deleted) {
                if (action !== "retain") {
                  addOp();
                  action = "retain";
                }
                retain += item.length;
              }
              break;
            case ContentFormat: {
              const { key, value } = (
                /** @type {ContentFormat} */
                item.content
              );
              if (this.adds(item)) {
                if (!this.deletes(item)) {
                  const curVal = currentAttributes.get(key) ?? null;
                  if (!equalAttrs(curVal, value)) {
                    if (action === "retain") {
                      addOp();
                    }
                    if (equalAttrs(value, oldAttributes.get(key) ?? null)) {
                      delete attributes[key];
                    } else {
                      attributes[key] = value;
                    }
                  } else if (value !== null) {
                    item.delete(transaction);
                  }
                }
              } else if (this.deletes(item)) {
                oldAttributes.set(key, value);
                const curVal = currentAttributes.get(key) ?? null;
                if (!equalAttrs(curVal, value)) {
                  if (action === "retain") {
                    addOp();
                  }
                  attributes[key] = curVal;
                }
              } else if (!item.deleted) {
                oldAttributes.set(key, value);
                const attr = attributes[key];
                if (attr !== void 0) {
                  if (!equalAttrs(attr, value)) {
                    if (action === "retain") {
                      addOp();
                    }
                    if (value === null) {
                      delete attributes[key];
                    } else {
                      attributes[key] = value;
                    }
                  } else if (attr !== null) {
                    item.delete(transaction);
                  }
                }
              }
              if (!item.deleted) {
                if (action === "insert") {
                  addOp();
                }
                updateCurrentAttributes(
                  currentAttributes,
                  /** @type {ContentFormat} */
                  item.content
                );
              }
              break;
            }
          }
          item = item.right;
        }
        addOp();
        while (delta.length > 0) {
          const lastOp = delta[delta.length - 1];
          if (lastOp.retain !== void 0 && lastOp.attributes === void 0) {
            delta.pop();
          } else {
            break;
          }
        }
      });
      this._delta = delta;
    }
    return (
      /** @type {any} */
      this._delta
    );
  }
};
var YText = class _YText extends AbstractType {
  /**
   * @param {String} [string] The initial value of the YText.
   */
  constructor(string) {
    super();
    this._pending = string !== void 0 ? [() => this.insert(0, string)] : [];
    this._searchMarker = [];
    this._hasFormatting = false;
  }
  /**
   * Number of characters of this text type.
   *
   * @type {number}
   */
  get length() {
    this.doc ?? warnPrematureAccess();
    return this._length;
  }
  /**
   * @param {Doc} y
   * @param {Item} item
   */
  _integrate(y, item) {
    super._integrate(y, item);
    try {
      this._pending.forEach((f) => f());
    } catch (e) {
      console.error(e);
    }
    this._pending = null;
  }
  _copy() {
    return new _YText();
  }
  /**
   * Makes a copy of this data type that can be included somewhere else.
   *
   * Note that the content is only readable _after_ it has been included somewhere in the Ydoc.
   *
   * @return {YText}
   */
  clone() {
    const text3 = new _YText();
    text3.applyDelta(this.toDelta());
    return text3;
  }
  /**
   * Creates YTextEvent and calls observers.
   *
   * @param {Transaction} transaction
   * @param {Set<null|string>} parentSubs Keys changed on this type. `null` if list was modified.
   */
  _callObserver(transaction, parentSubs) {
    super._callObserver(transaction, parentSubs);
    const event = new YTextEvent(this, transaction, parentSubs);
    callTypeObservers(this, transaction, event);
    if (!transaction.local && this._hasFormatting) {
      transaction._needFormattingCleanup = true;
    }
  }
  /**
   * Returns the unformatted string representation of this YText type.
   *
   * @public
   */
  toString() {
    this.doc ?? warnPrematureAccess();
    let str = "";
    let n = this._start;
    while (n !== null) {
      if (!n.deleted && n.countable && n.content.constructor === ContentString) {
        str += /** @type {ContentString} */
        n.content.str;
      }
      n = n.right;
    }
    return str;
  }
  /**
   * Returns the unformatted string representation of this YText type.
   *
   * @return {string}
   * @public
   */
  toJSON() {
    return this.toString();
  }
  /**
   * Apply a {@link Delta} on this shared YText type.
   *
   * @param {Array<any>} delta The changes to apply on this element.
   * @param {object}  opts
   * @param {boolean} [opts.sanitize] Sanitize input delta. Removes ending newlines if set to true.
   *
   *
   * @public
   */
  applyDelta(delta, { sanitize = true } = {}) {
    if (this.doc !== null) {
      transact(this.doc, (transaction) => {
        const currPos = new ItemTextListPosition(null, this._start, 0, /* @__PURE__ */ new Map());
        for (let i = 0; i < delta.length; i++) {
          const op = delta[i];
          if (op.insert !== void 0) {
            const ins = !sanitize && typeof op.insert === "string" && i === delta.length - 1 && currPos.right === null && op.insert.slice(-1) === "\n" ? op.insert.slice(0, -1) : op.insert;
            if (typeof ins !== "string" || ins.length > 0) {
              insertText(transaction, this, currPos, ins, op.attributes || {});
            }
          } else if (op.retain !== void 0) {
            formatText(transaction, this, currPos, op.retain, op.attributes || {});
          } else if (op.delete !== void 0) {
            deleteText(transaction, currPos, op.delete);
          }
        }
      });
    } else {
      this._pending.push(() => this.applyDelta(delta));
    }
  }
  /**
   * Returns the Delta representation of this YText type.
   *
   * @param {Snapshot} [snapshot]
   * @param {Snapshot} [prevSnapshot]
   * @param {function('removed' | 'added', ID):any} [computeYChange]
   * @return {any} The Delta representation of this type.
   *
   * @public
   */
  toDelta(snapshot, prevSnapshot, computeYChange) {
    this.doc ?? warnPrematureAccess();
    const ops = [];
    const currentAttributes = /* @__PURE__ */ new Map();
    const doc2 = (
      /** @type {Doc} */
      this.doc
    );
    let str = "";
    let n = this._start;
    function packStr() {
      if (str.length > 0) {
        const attributes = {};
        let addAttributes = false;
        currentAttributes.forEach((value, key) => {
          addAttributes = true;
          attributes[key] = value;
        });
        const op = { insert: str };
        if (addAttributes) {
          op.attributes = attributes;
        }
        ops.push(op);
        str = "";
      }
    }
    const computeDelta = () => {
      while (n !== null) {
        if (isVisible(n, snapshot) || prevSnapshot !== void 0 && isVisible(n, prevSnapshot)) {
          switch (n.content.constructor) {
            case ContentString: {
              const cur = currentAttributes.get("ychange");
              if (snapshot !== void 0 && !isVisible(n, snapshot)) {
                if (cur === void 0 || cur.user !== n.id.client || cur.type !== "removed") {
                  packStr();
                  currentAttributes.set("ychange", computeYChange ? computeYChange("removed", n.id) : { type: "removed" });
                }
              } else if (prevSnapshot !== void 0 && !isVisible(n, prevSnapshot)) {
                if (cur === void 0 || cur.user !== n.id.client || cur.type !== "added") {
                  packStr();
                  currentAttributes.set("ychange", computeYChange ? computeYChange("added", n.id) : { type: "added" });
                }
              } else if (cur !== void 0) {
                packStr();
                currentAttributes.delete("ychange");
              }
              str += /** @type {ContentString} */
              n.content.str;
              break;
            }
            case ContentType:
            case ContentEmbed: {
              packStr();
              const op = {
                insert: n.content.getContent()[0]
              };
              if (currentAttributes.size > 0) {
                const attrs = (
                  /** @type {Object<string,any>} */
                  {}
                );
                op.attributes = attrs;
                currentAttributes.forEach((value, key) => {
                  attrs[key] = value;
                });
              }
              ops.push(op);
              break;
            }
            case ContentFormat:
              if (isVisible(n, snapshot)) {
                packStr();
                updateCurrentAttributes(
                  currentAttributes,
                  /** @type {ContentFormat} */
                  n.content
                );
              }
              break;
          }
        }
        n = n.right;
      }
      packStr();
    };
    if (snapshot || prevSnapshot) {
      transact(doc2, (transaction) => {
        if (snapshot) {
          splitSnapshotAffectedStructs(transaction, snapshot);
        }
        if (prevSnapshot) {
          splitSnapshotAffectedStructs(transaction, prevSnapshot);
        }
        computeDelta();
      }, "cleanup");
    } else {
      computeDelta();
    }
    return ops;
  }
  /**
   * Insert text at a given index.
   *
   * @param {number} index The index at which to start inserting.
   * @param {String} text The text to insert at the specified position.
   * @param {TextAttributes} [attributes] Optionally define some formatting
   *                                    information to apply on the inserted
   *                                    Text.
   * @public
   */
  insert(index, text3, attributes) {
    if (text3.length <= 0) {
      return;
    }
    const y = this.doc;
    if (y !== null) {
      transact(y, (transaction) => {
        const pos = findPosition(transaction, this, index, !attributes);
        if (!attributes) {
          attributes = {};
          pos.currentAttributes.forEach((v, k) => {
            attributes[k] = v;
          });
        }
        insertText(transaction, this, pos, text3, attributes);
      });
    } else {
      this._pending.push(() => this.insert(index, text3, attributes));
    }
  }
  /**
   * Inserts an embed at a index.
   *
   * @param {number} index The index to insert the embed at.
   * @param {Object | AbstractType<any>} embed The Object that represents the embed.
   * @param {TextAttributes} [attributes] Attribute information to apply on the
   *                                    embed
   *
   * @public
   */
  insertEmbed(index, embed, attributes) {
    const y = this.doc;
    if (y !== null) {
      transact(y, (transaction) => {
        const pos = findPosition(transaction, this, index, !attributes);
        insertText(transaction, this, pos, embed, attributes || {});
      });
    } else {
      this._pending.push(() => this.insertEmbed(index, embed, attributes || {}));
    }
  }
  /**
   * Deletes text starting from an index.
   *
   * @param {number} index Index at which to start deleting.
   * @param {number} length The number of characters to remove. Defaults to 1.
   *
   * @public
   */
  delete(index, length2) {
    if (length2 === 0) {
      return;
    }
    const y = this.doc;
    if (y !== null) {
      transact(y, (transaction) => {
        deleteText(transaction, findPosition(transaction, this, index, true), length2);
      });
    } else {
      this._pending.push(() => this.delete(index, length2));
    }
  }
  /**
   * Assigns properties to a range of text.
   *
   * @param {number} index The position where to start formatting.
   * @param {number} length The amount of characters to assign properties to.
   * @param {TextAttributes} attributes Attribute information to apply on the
   *                                    text.
   *
   * @public
   */
  format(index, length2, attributes) {
    if (length2 === 0) {
      return;
    }
    const y = this.doc;
    if (y !== null) {
      transact(y, (transaction) => {
        const pos = findPosition(transaction, this, index, false);
        if (pos.right === null) {
          return;
        }
        formatText(transaction, this, pos, length2, attributes);
      });
    } else {
      this._pending.push(() => this.format(index, length2, attributes));
    }
  }
  /**
   * Removes an attribute.
   *
   * @note Xml-Text nodes don't have attributes. You can use this feature to assign properties to complete text-blocks.
   *
   * @param {String} attributeName The attribute name that is to be removed.
   *
   * @public
   */
  removeAttribute(attributeName) {
    if (this.doc !== null) {
      transact(this.doc, (transaction) => {
        typeMapDelete(transaction, this, attributeName);
      });
    } else {
      this._pending.push(() => this.removeAttribute(attributeName));
    }
  }
  /**
   * Sets or updates an attribute.
   *
   * @note Xml-Text nodes don't have attributes. You can use this feature to assign properties to complete text-blocks.
   *
   * @param {String} attributeName The attribute name that is to be set.
   * @param {any} attributeValue The attribute value that is to be set.
   *
   * @public
   */
  setAttribute(attributeName, attributeValue) {
    if (this.doc !== null) {
      transact(this.doc, (transaction) => {
        typeMapSet(transaction, this, attributeName, attributeValue);
      });
    } else {
      this._pending.push(() => this.setAttribute(attributeName, attributeValue));
    }
  }
  /**
   * Returns an attribute value that belongs to the attribute name.
   *
   * @note Xml-Text nodes don't have attributes. You can use this feature to assign properties to complete text-blocks.
   *
   * @param {String} attributeName The attribute name that identifies the
   *                               queried value.
   * @return {any} The queried attribute value.
   *
   * @public
   */
  getAttribute(attributeName) {
    return (
      /** @type {any} */
      typeMapGet(this, attributeName)
    );
  }
  /**
   * Returns all attribute name/value pairs in a JSON Object.
   *
   * @note Xml-Text nodes don't have attributes. You can use this feature to assign properties to complete text-blocks.
   *
   * @return {Object<string, any>} A JSON Object that describes the attributes.
   *
   * @public
   */
  getAttributes() {
    return typeMapGetAll(this);
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder
   */
  _write(encoder3) {
    encoder3.writeTypeRef(YTextRefID);
  }
};
var readYText = (_decoder) => new YText();
var YXmlTreeWalker = class {
  /**
   * @param {YXmlFragment | YXmlElement} root
   * @param {function(AbstractType<any>):boolean} [f]
   */
  constructor(root, f = () => true) {
    this._filter = f;
    this._root = root;
    this._currentNode = /** @type {Item} */
    root._start;
    this._firstCall = true;
    root.doc ?? warnPrematureAccess();
  }
  [Symbol.iterator]() {
    return this;
  }
  /**
   * Get the next node.
   *
   * @return {IteratorResult<YXmlElement|YXmlText|YXmlHook>} The next node.
   *
   * @public
   */
  next() {
    let n = this._currentNode;
    let type = n && n.content && /** @type {any} */
    n.content.type;
    if (n !== null && (!this._firstCall || n.deleted || !this._filter(type))) {
      do {
        type = /** @type {any} */
        n.content.type;
        if (!n.deleted && (type.constructor === YXmlElement || type.constructor === YXmlFragment) && type._start !== null) {
          n = type._start;
        } else {
          while (n !== null) {
            const nxt = n.next;
            if (nxt !== null) {
              n = nxt;
              break;
            } else if (n.parent === this._root) {
              n = null;
            } else {
              n = /** @type {AbstractType<any>} */
              n.parent._item;
            }
          }
        }
      } while (n !== null && (n.deleted || !this._filter(
        /** @type {ContentType} */
        n.content.type
      )));
    }
    this._firstCall = false;
    if (n === null) {
      return { value: void 0, done: true };
    }
    this._currentNode = n;
    return { value: (
      /** @type {any} */
      n.content.type
    ), done: false };
  }
};
var YXmlFragment = class _YXmlFragment extends AbstractType {
  constructor() {
    super();
    this._prelimContent = [];
  }
  /**
   * @type {YXmlElement|YXmlText|null}
   */
  get firstChild() {
    const first = this._first;
    return first ? first.content.getContent()[0] : null;
  }
  /**
   * Integrate this type into the Yjs instance.
   *
   * * Save this struct in the os
   * * This type is sent to other client
   * * Observer functions are fired
   *
   * @param {Doc} y The Yjs instance
   * @param {Item} item
   */
  _integrate(y, item) {
    super._integrate(y, item);
    this.insert(
      0,
      /** @type {Array<any>} */
      this._prelimContent
    );
    this._prelimContent = null;
  }
  _copy() {
    return new _YXmlFragment();
  }
  /**
   * Makes a copy of this data type that can be included somewhere else.
   *
   * Note that the content is only readable _after_ it has been included somewhere in the Ydoc.
   *
   * @return {YXmlFragment}
   */
  clone() {
    const el = new _YXmlFragment();
    el.insert(0, this.toArray().map((item) => item instanceof AbstractType ? item.clone() : item));
    return el;
  }
  get length() {
    this.doc ?? warnPrematureAccess();
    return this._prelimContent === null ? this._length : this._prelimContent.length;
  }
  /**
   * Create a subtree of childNodes.
   *
   * @example
   * const walker = elem.createTreeWalker(dom => dom.nodeName === 'div')
   * for (let node in walker) {
   *   // `node` is a div node
   *   nop(node)
   * }
   *
   * @param {function(AbstractType<any>):boolean} filter Function that is called on each child element and
   *                          returns a Boolean indicating whether the child
   *                          is to be included in the subtree.
   * @return {YXmlTreeWalker} A subtree and a position within it.
   *
   * @public
   */
  createTreeWalker(filter) {
    return new YXmlTreeWalker(this, filter);
  }
  /**
   * Returns the first YXmlElement that matches the query.
   * Similar to DOM's {@link querySelector}.
   *
   * Query support:
   *   - tagname
   * TODO:
   *   - id
   *   - attribute
   *
   * @param {CSS_Selector} query The query on the children.
   * @return {YXmlElement|YXmlText|YXmlHook|null} The first element that matches the query or null.
   *
   * @public
   */
  querySelector(query) {
    query = query.toUpperCase();
    const iterator = new YXmlTreeWalker(this, (element2) => element2.nodeName && element2.nodeName.toUpperCase() === query);
    const next = iterator.next();
    if (next.done) {
      return null;
    } else {
      return next.value;
    }
  }
  /**
   * Returns all YXmlElements that match the query.
   * Similar to Dom's {@link querySelectorAll}.
   *
   * @todo Does not yet support all queries. Currently only query by tagName.
   *
   * @param {CSS_Selector} query The query on the children
   * @return {Array<YXmlElement|YXmlText|YXmlHook|null>} The elements that match this query.
   *
   * @public
   */
  querySelectorAll(query) {
    query = query.toUpperCase();
    return from(new YXmlTreeWalker(this, (element2) => element2.nodeName && element2.nodeName.toUpperCase() === query));
  }
  /**
   * Creates YXmlEvent and calls observers.
   *
   * @param {Transaction} transaction
   * @param {Set<null|string>} parentSubs Keys changed on this type. `null` if list was modified.
   */
  _callObserver(transaction, parentSubs) {
    callTypeObservers(this, transaction, new YXmlEvent(this, parentSubs, transaction));
  }
  /**
   * Get the string representation of all the children of this YXmlFragment.
   *
   * @return {string} The string representation of all children.
   */
  toString() {
    return typeListMap(this, (xml) => xml.toString()).join("");
  }
  /**
   * @return {string}
   */
  toJSON() {
    return this.toString();
  }
  /**
   * Creates a Dom Element that mirrors this YXmlElement.
   *
   * @param {Document} [_document=document] The document object (you must define
   *                                        this when calling this method in
   *                                        nodejs)
   * @param {Object<string, any>} [hooks={}] Optional property to customize how hooks
   *                                             are presented in the DOM
   * @param {any} [binding] You should not set this property. This is
   *                               used if DomBinding wants to create a
   *                               association to the created DOM type.
   * @return {Node} The {@link https://developer.mozilla.org/en-US/docs/Web/API/Element|Dom Element}
   *
   * @public
   */
  toDOM(_document = document, hooks = {}, binding) {
    const fragment = _document.createDocumentFragment();
    if (binding !== void 0) {
      binding._createAssociation(fragment, this);
    }
    typeListForEach(this, (xmlType) => {
      fragment.insertBefore(xmlType.toDOM(_document, hooks, binding), null);
    });
    return fragment;
  }
  /**
   * Inserts new content at an index.
   *
   * @example
   *  // Insert character 'a' at position 0
   *  xml.insert(0, [new Y.XmlText('text')])
   *
   * @param {number} index The index to insert content at
   * @param {Array<YXmlElement|YXmlText>} content The array of content
   */
  insert(index, content) {
    if (this.doc !== null) {
      transact(this.doc, (transaction) => {
        typeListInsertGenerics(transaction, this, index, content);
      });
    } else {
      this._prelimContent.splice(index, 0, ...content);
    }
  }
  /**
   * Inserts new content at an index.
   *
   * @example
   *  // Insert character 'a' at position 0
   *  xml.insert(0, [new Y.XmlText('text')])
   *
   * @param {null|Item|YXmlElement|YXmlText} ref The index to insert content at
   * @param {Array<YXmlElement|YXmlText>} content The array of content
   */
  insertAfter(ref, content) {
    if (this.doc !== null) {
      transact(this.doc, (transaction) => {
        const refItem = ref && ref instanceof AbstractType ? ref._item : ref;
        typeListInsertGenericsAfter(transaction, this, refItem, content);
      });
    } else {
      const pc = (
        /** @type {Array<any>} */
        this._prelimContent
      );
      const index = ref === null ? 0 : pc.findIndex((el) => el === ref) + 1;
      if (index === 0 && ref !== null) {
        throw create2("Reference item not found");
      }
      pc.splice(index, 0, ...content);
    }
  }
  /**
   * Deletes elements starting from an index.
   *
   * @param {number} index Index at which to start deleting elements
   * @param {number} [length=1] The number of elements to remove. Defaults to 1.
   */
  delete(index, length2 = 1) {
    if (this.doc !== null) {
      transact(this.doc, (transaction) => {
        typeListDelete(transaction, this, index, length2);
      });
    } else {
      this._prelimContent.splice(index, length2);
    }
  }
  /**
   * Transforms this YArray to a JavaScript Array.
   *
   * @return {Array<YXmlElement|YXmlText|YXmlHook>}
   */
  toArray() {
    return typeListToArray(this);
  }
  /**
   * Appends content to this YArray.
   *
   * @param {Array<YXmlElement|YXmlText>} content Array of content to append.
   */
  push(content) {
    this.insert(this.length, content);
  }
  /**
   * Prepends content to this YArray.
   *
   * @param {Array<YXmlElement|YXmlText>} content Array of content to prepend.
   */
  unshift(content) {
    this.insert(0, content);
  }
  /**
   * Returns the i-th element from a YArray.
   *
   * @param {number} index The index of the element to return from the YArray
   * @return {YXmlElement|YXmlText}
   */
  get(index) {
    return typeListGet(this, index);
  }
  /**
   * Returns a portion of this YXmlFragment into a JavaScript Array selected
   * from start to end (end not included).
   *
   * @param {number} [start]
   * @param {number} [end]
   * @return {Array<YXmlElement|YXmlText>}
   */
  slice(start = 0, end = this.length) {
    return typeListSlice(this, start, end);
  }
  /**
   * Executes a provided function on once on every child element.
   *
   * @param {function(YXmlElement|YXmlText,number, typeof self):void} f A function to execute on every element of this YArray.
   */
  forEach(f) {
    typeListForEach(this, f);
  }
  /**
   * Transform the properties of this type to binary and write it to an
   * BinaryEncoder.
   *
   * This is called when this Item is sent to a remote peer.
   *
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder The encoder to write data to.
   */
  _write(encoder3) {
    encoder3.writeTypeRef(YXmlFragmentRefID);
  }
};
var readYXmlFragment = (_decoder) => new YXmlFragment();
var YXmlElement = class _YXmlElement extends YXmlFragment {
  constructor(nodeName = "UNDEFINED") {
    super();
    this.nodeName = nodeName;
    this._prelimAttrs = /* @__PURE__ */ new Map();
  }
  /**
   * @type {YXmlElement|YXmlText|null}
   */
  get nextSibling() {
    const n = this._item ? this._item.next : null;
    return n ? (
      /** @type {YXmlElement|YXmlText} */
      /** @type {ContentType} */
      n.content.type
    ) : null;
  }
  /**
   * @type {YXmlElement|YXmlText|null}
   */
  get prevSibling() {
    const n = this._item ? this._item.prev : null;
    return n ? (
      /** @type {YXmlElement|YXmlText} */
      /** @type {ContentType} */
      n.content.type
    ) : null;
  }
  /**
   * Integrate this type into the Yjs instance.
   *
   * * Save this struct in the os
   * * This type is sent to other client
   * * Observer functions are fired
   *
   * @param {Doc} y The Yjs instance
   * @param {Item} item
   */
  _integrate(y, item) {
    super._integrate(y, item);
    /** @type {Map<string, any>} */
    this._prelimAttrs.forEach((value, key) => {
      this.setAttribute(key, value);
    });
    this._prelimAttrs = null;
  }
  /**
   * Creates an Item with the same effect as this Item (without position effect)
   *
   * @return {YXmlElement}
   */
  _copy() {
    return new _YXmlElement(this.nodeName);
  }
  /**
   * Makes a copy of this data type that can be included somewhere else.
   *
   * Note that the content is only readable _after_ it has been included somewhere in the Ydoc.
   *
   * @return {YXmlElement<KV>}
   */
  clone() {
    const el = new _YXmlElement(this.nodeName);
    const attrs = this.getAttributes();
    forEach(attrs, (value, key) => {
      el.setAttribute(
        key,
        /** @type {any} */
        value
      );
    });
    el.insert(0, this.toArray().map((v) => v instanceof AbstractType ? v.clone() : v));
    return el;
  }
  /**
   * Returns the XML serialization of this YXmlElement.
   * The attributes are ordered by attribute-name, so you can easily use this
   * method to compare YXmlElements
   *
   * @return {string} The string representation of this type.
   *
   * @public
   */
  toString() {
    const attrs = this.getAttributes();
    const stringBuilder = [];
    const keys2 = [];
    for (const key in attrs) {
      keys2.push(key);
    }
    keys2.sort();
    const keysLen = keys2.length;
    for (let i = 0; i < keysLen; i++) {
      const key = keys2[i];
      stringBuilder.push(key + '="' + attrs[key] + '"');
    }
    const nodeName = this.nodeName.toLocaleLowerCase();
    const attrsString = stringBuilder.length > 0 ? " " + stringBuilder.join(" ") : "";
    return `<${nodeName}${attrsString}>${super.toString()}</${nodeName}>`;
  }
  /**
   * Removes an attribute from this YXmlElement.
   *
   * @param {string} attributeName The attribute name that is to be removed.
   *
   * @public
   */
  removeAttribute(attributeName) {
    if (this.doc !== null) {
      transact(this.doc, (transaction) => {
        typeMapDelete(transaction, this, attributeName);
      });
    } else {
      this._prelimAttrs.delete(attributeName);
    }
  }
  /**
   * Sets or updates an attribute.
   *
   * @template {keyof KV & string} KEY
   *
   * @param {KEY} attributeName The attribute name that is to be set.
   * @param {KV[KEY]} attributeValue The attribute value that is to be set.
   *
   * @public
   */
  setAttribute(attributeName, attributeValue) {
    if (this.doc !== null) {
      transact(this.doc, (transaction) => {
        typeMapSet(transaction, this, attributeName, attributeValue);
      });
    } else {
      this._prelimAttrs.set(attributeName, attributeValue);
    }
  }
  /**
   * Returns an attribute value that belongs to the attribute name.
   *
   * @template {keyof KV & string} KEY
   *
   * @param {KEY} attributeName The attribute name that identifies the
   *                               queried value.
   * @return {KV[KEY]|undefined} The queried attribute value.
   *
   * @public
   */
  getAttribute(attributeName) {
    return (
      /** @type {any} */
      typeMapGet(this, attributeName)
    );
  }
  /**
   * Returns whether an attribute exists
   *
   * @param {string} attributeName The attribute name to check for existence.
   * @return {boolean} whether the attribute exists.
   *
   * @public
   */
  hasAttribute(attributeName) {
    return (
      /** @type {any} */
      typeMapHas(this, attributeName)
    );
  }
  /**
   * Returns all attribute name/value pairs in a JSON Object.
   *
   * @param {Snapshot} [snapshot]
   * @return {{ [Key in Extract<keyof KV,string>]?: KV[Key]}} A JSON Object that describes the attributes.
   *
   * @public
   */
  getAttributes(snapshot) {
    return (
      /** @type {any} */
      snapshot ? typeMapGetAllSnapshot(this, snapshot) : typeMapGetAll(this)
    );
  }
  /**
   * Creates a Dom Element that mirrors this YXmlElement.
   *
   * @param {Document} [_document=document] The document object (you must define
   *                                        this when calling this method in
   *                                        nodejs)
   * @param {Object<string, any>} [hooks={}] Optional property to customize how hooks
   *                                             are presented in the DOM
   * @param {any} [binding] You should not set this property. This is
   *                               used if DomBinding wants to create a
   *                               association to the created DOM type.
   * @return {Node} The {@link https://developer.mozilla.org/en-US/docs/Web/API/Element|Dom Element}
   *
   * @public
   */
  toDOM(_document = document, hooks = {}, binding) {
    const dom = _document.createElement(this.nodeName);
    const attrs = this.getAttributes();
    for (const key in attrs) {
      const value = attrs[key];
      if (typeof value === "string") {
        dom.setAttribute(key, value);
      }
    }
    typeListForEach(this, (yxml) => {
      dom.appendChild(yxml.toDOM(_document, hooks, binding));
    });
    if (binding !== void 0) {
      binding._createAssociation(dom, this);
    }
    return dom;
  }
  /**
   * Transform the properties of this type to binary and write it to an
   * BinaryEncoder.
   *
   * This is called when this Item is sent to a remote peer.
   *
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder The encoder to write data to.
   */
  _write(encoder3) {
    encoder3.writeTypeRef(YXmlElementRefID);
    encoder3.writeKey(this.nodeName);
  }
};
var readYXmlElement = (decoder2) => new YXmlElement(decoder2.readKey());
var YXmlEvent = class extends YEvent {
  /**
   * @param {YXmlElement|YXmlText|YXmlFragment} target The target on which the event is created.
   * @param {Set<string|null>} subs The set of changed attributes. `null` is included if the
   *                   child list changed.
   * @param {Transaction} transaction The transaction instance with which the
   *                                  change was created.
   */
  constructor(target, subs, transaction) {
    super(target, transaction);
    this.childListChanged = false;
    this.attributesChanged = /* @__PURE__ */ new Set();
    subs.forEach((sub) => {
      if (sub === null) {
        this.childListChanged = true;
      } else {
        this.attributesChanged.add(sub);
      }
    });
  }
};
var YXmlHook = class _YXmlHook extends YMap {
  /**
   * @param {string} hookName nodeName of the Dom Node.
   */
  constructor(hookName) {
    super();
    this.hookName = hookName;
  }
  /**
   * Creates an Item with the same effect as this Item (without position effect)
   */
  _copy() {
    return new _YXmlHook(this.hookName);
  }
  /**
   * Makes a copy of this data type that can be included somewhere else.
   *
   * Note that the content is only readable _after_ it has been included somewhere in the Ydoc.
   *
   * @return {YXmlHook}
   */
  clone() {
    const el = new _YXmlHook(this.hookName);
    this.forEach((value, key) => {
      el.set(key, value);
    });
    return el;
  }
  /**
   * Creates a Dom Element that mirrors this YXmlElement.
   *
   * @param {Document} [_document=document] The document object (you must define
   *                                        this when calling this method in
   *                                        nodejs)
   * @param {Object.<string, any>} [hooks] Optional property to customize how hooks
   *                                             are presented in the DOM
   * @param {any} [binding] You should not set this property. This is
   *                               used if DomBinding wants to create a
   *                               association to the created DOM type
   * @return {Element} The {@link https://developer.mozilla.org/en-US/docs/Web/API/Element|Dom Element}
   *
   * @public
   */
  toDOM(_document = document, hooks = {}, binding) {
    const hook = hooks[this.hookName];
    let dom;
    if (hook !== void 0) {
      dom = hook.createDom(this);
    } else {
      dom = document.createElement(this.hookName);
    }
    dom.setAttribute("data-yjs-hook", this.hookName);
    if (binding !== void 0) {
      binding._createAssociation(dom, this);
    }
    return dom;
  }
  /**
   * Transform the properties of this type to binary and write it to an
   * BinaryEncoder.
   *
   * This is called when this Item is sent to a remote peer.
   *
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder The encoder to write data to.
   */
  _write(encoder3) {
    encoder3.writeTypeRef(YXmlHookRefID);
    encoder3.writeKey(this.hookName);
  }
};
var readYXmlHook = (decoder2) => new YXmlHook(decoder2.readKey());
var YXmlText = class _YXmlText extends YText {
  /**
   * @type {YXmlElement|YXmlText|null}
   */
  get nextSibling() {
    const n = this._item ? this._item.next : null;
    return n ? (
      /** @type {YXmlElement|YXmlText} */
      /** @type {ContentType} */
      n.content.type
    ) : null;
  }
  /**
   * @type {YXmlElement|YXmlText|null}
   */
  get prevSibling() {
    const n = this._item ? this._item.prev : null;
    return n ? (
      /** @type {YXmlElement|YXmlText} */
      /** @type {ContentType} */
      n.content.type
    ) : null;
  }
  _copy() {
    return new _YXmlText();
  }
  /**
   * Makes a copy of this data type that can be included somewhere else.
   *
   * Note that the content is only readable _after_ it has been included somewhere in the Ydoc.
   *
   * @return {YXmlText}
   */
  clone() {
    const text3 = new _YXmlText();
    text3.applyDelta(this.toDelta());
    return text3;
  }
  /**
   * Creates a Dom Element that mirrors this YXmlText.
   *
   * @param {Document} [_document=document] The document object (you must define
   *                                        this when calling this method in
   *                                        nodejs)
   * @param {Object<string, any>} [hooks] Optional property to customize how hooks
   *                                             are presented in the DOM
   * @param {any} [binding] You should not set this property. This is
   *                               used if DomBinding wants to create a
   *                               association to the created DOM type.
   * @return {Text} The {@link https://developer.mozilla.org/en-US/docs/Web/API/Element|Dom Element}
   *
   * @public
   */
  toDOM(_document = document, hooks, binding) {
    const dom = _document.createTextNode(this.toString());
    if (binding !== void 0) {
      binding._createAssociation(dom, this);
    }
    return dom;
  }
  toString() {
    return this.toDelta().map((delta) => {
      const nestedNodes = [];
      for (const nodeName in delta.attributes) {
        const attrs = [];
        for (const key in delta.attributes[nodeName]) {
          attrs.push({ key, value: delta.attributes[nodeName][key] });
        }
        attrs.sort((a, b) => a.key < b.key ? -1 : 1);
        nestedNodes.push({ nodeName, attrs });
      }
      nestedNodes.sort((a, b) => a.nodeName < b.nodeName ? -1 : 1);
      let str = "";
      for (let i = 0; i < nestedNodes.length; i++) {
        const node = nestedNodes[i];
        str += `<${node.nodeName}`;
        for (let j = 0; j < node.attrs.length; j++) {
          const attr = node.attrs[j];
          str += ` ${attr.key}="${attr.value}"`;
        }
        str += ">";
      }
      str += delta.insert;
      for (let i = nestedNodes.length - 1; i >= 0; i--) {
        str += `</${nestedNodes[i].nodeName}>`;
      }
      return str;
    }).join("");
  }
  /**
   * @return {string}
   */
  toJSON() {
    return this.toString();
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder
   */
  _write(encoder3) {
    encoder3.writeTypeRef(YXmlTextRefID);
  }
};
var readYXmlText = (decoder2) => new YXmlText();
var AbstractStruct = class {
  /**
   * @param {ID} id
   * @param {number} length
   */
  constructor(id2, length2) {
    this.id = id2;
    this.length = length2;
  }
  /**
   * @type {boolean}
   */
  get deleted() {
    throw methodUnimplemented();
  }
  /**
   * Merge this struct with the item to the right.
   * This method is already assuming that `this.id.clock + this.length === this.id.clock`.
   * Also this method does *not* remove right from StructStore!
   * @param {AbstractStruct} right
   * @return {boolean} whether this merged with right
   */
  mergeWith(right) {
    return false;
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder The encoder to write data to.
   * @param {number} offset
   * @param {number} encodingRef
   */
  write(encoder3, offset, encodingRef) {
    throw methodUnimplemented();
  }
  /**
   * @param {Transaction} transaction
   * @param {number} offset
   */
  integrate(transaction, offset) {
    throw methodUnimplemented();
  }
};
var structGCRefNumber = 0;
var GC = class extends AbstractStruct {
  get deleted() {
    return true;
  }
  delete() {
  }
  /**
   * @param {GC} right
   * @return {boolean}
   */
  mergeWith(right) {
    if (this.constructor !== right.constructor) {
      return false;
    }
    this.length += right.length;
    return true;
  }
  /**
   * @param {Transaction} transaction
   * @param {number} offset
   */
  integrate(transaction, offset) {
    if (offset > 0) {
      this.id.clock += offset;
      this.length -= offset;
    }
    addStruct(transaction.doc.store, this);
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder
   * @param {number} offset
   */
  write(encoder3, offset) {
    encoder3.writeInfo(structGCRefNumber);
    encoder3.writeLen(this.length - offset);
  }
  /**
   * @param {Transaction} transaction
   * @param {StructStore} store
   * @return {null | number}
   */
  getMissing(transaction, store) {
    return null;
  }
};
var ContentBinary = class _ContentBinary {
  /**
   * @param {Uint8Array} content
   */
  constructor(content) {
    this.content = content;
  }
  /**
   * @return {number}
   */
  getLength() {
    return 1;
  }
  /**
   * @return {Array<any>}
   */
  getContent() {
    return [this.content];
  }
  /**
   * @return {boolean}
   */
  isCountable() {
    return true;
  }
  /**
   * @return {ContentBinary}
   */
  copy() {
    return new _ContentBinary(this.content);
  }
  /**
   * @param {number} offset
   * @return {ContentBinary}
   */
  splice(offset) {
    throw methodUnimplemented();
  }
  /**
   * @param {ContentBinary} right
   * @return {boolean}
   */
  mergeWith(right) {
    return false;
  }
  /**
   * @param {Transaction} transaction
   * @param {Item} item
   */
  integrate(transaction, item) {
  }
  /**
   * @param {Transaction} transaction
   */
  delete(transaction) {
  }
  /**
   * @param {StructStore} store
   */
  gc(store) {
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder
   * @param {number} offset
   */
  write(encoder3, offset) {
    encoder3.writeBuf(this.content);
  }
  /**
   * @return {number}
   */
  getRef() {
    return 3;
  }
};
var readContentBinary = (decoder2) => new ContentBinary(decoder2.readBuf());
var ContentDeleted = class _ContentDeleted {
  /**
   * @param {number} len
   */
  constructor(len) {
    this.len = len;
  }
  /**
   * @return {number}
   */
  getLength() {
    return this.len;
  }
  /**
   * @return {Array<any>}
   */
  getContent() {
    return [];
  }
  /**
   * @return {boolean}
   */
  isCountable() {
    return false;
  }
  /**
   * @return {ContentDeleted}
   */
  copy() {
    return new _ContentDeleted(this.len);
  }
  /**
   * @param {number} offset
   * @return {ContentDeleted}
   */
  splice(offset) {
    const right = new _ContentDeleted(this.len - offset);
    this.len = offset;
    return right;
  }
  /**
   * @param {ContentDeleted} right
   * @return {boolean}
   */
  mergeWith(right) {
    this.len += right.len;
    return true;
  }
  /**
   * @param {Transaction} transaction
   * @param {Item} item
   */
  integrate(transaction, item) {
    addToDeleteSet(transaction.deleteSet, item.id.client, item.id.clock, this.len);
    item.markDeleted();
  }
  /**
   * @param {Transaction} transaction
   */
  delete(transaction) {
  }
  /**
   * @param {StructStore} store
   */
  gc(store) {
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder
   * @param {number} offset
   */
  write(encoder3, offset) {
    encoder3.writeLen(this.len - offset);
  }
  /**
   * @return {number}
   */
  getRef() {
    return 1;
  }
};
var readContentDeleted = (decoder2) => new ContentDeleted(decoder2.readLen());
var createDocFromOpts = (guid, opts) => new Doc({ guid, ...opts, shouldLoad: opts.shouldLoad || opts.autoLoad || false });
var ContentDoc = class _ContentDoc {
  /**
   * @param {Doc} doc
   */
  constructor(doc2) {
    if (doc2._item) {
      console.error("This document was already integrated as a sub-document. You should create a second instance instead with the same guid.");
    }
    this.doc = doc2;
    const opts = {};
    this.opts = opts;
    if (!doc2.gc) {
      opts.gc = false;
    }
    if (doc2.autoLoad) {
      opts.autoLoad = true;
    }
    if (doc2.meta !== null) {
      opts.meta = doc2.meta;
    }
  }
  /**
   * @return {number}
   */
  getLength() {
    return 1;
  }
  /**
   * @return {Array<any>}
   */
  getContent() {
    return [this.doc];
  }
  /**
   * @return {boolean}
   */
  isCountable() {
    return true;
  }
  /**
   * @return {ContentDoc}
   */
  copy() {
    return new _ContentDoc(createDocFromOpts(this.doc.guid, this.opts));
  }
  /**
   * @param {number} offset
   * @return {ContentDoc}
   */
  splice(offset) {
    throw methodUnimplemented();
  }
  /**
   * @param {ContentDoc} right
   * @return {boolean}
   */
  mergeWith(right) {
    return false;
  }
  /**
   * @param {Transaction} transaction
   * @param {Item} item
   */
  integrate(transaction, item) {
    this.doc._item = item;
    transaction.subdocsAdded.add(this.doc);
    if (this.doc.shouldLoad) {
      transaction.subdocsLoaded.add(this.doc);
    }
  }
  /**
   * @param {Transaction} transaction
   */
  delete(transaction) {
    if (transaction.subdocsAdded.has(this.doc)) {
      transaction.subdocsAdded.delete(this.doc);
    } else {
      transaction.subdocsRemoved.add(this.doc);
    }
  }
  /**
   * @param {StructStore} store
   */
  gc(store) {
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder
   * @param {number} offset
   */
  write(encoder3, offset) {
    encoder3.writeString(this.doc.guid);
    encoder3.writeAny(this.opts);
  }
  /**
   * @return {number}
   */
  getRef() {
    return 9;
  }
};
var readContentDoc = (decoder2) => new ContentDoc(createDocFromOpts(decoder2.readString(), decoder2.readAny()));
var ContentEmbed = class _ContentEmbed {
  /**
   * @param {Object} embed
   */
  constructor(embed) {
    this.embed = embed;
  }
  /**
   * @return {number}
   */
  getLength() {
    return 1;
  }
  /**
   * @return {Array<any>}
   */
  getContent() {
    return [this.embed];
  }
  /**
   * @return {boolean}
   */
  isCountable() {
    return true;
  }
  /**
   * @return {ContentEmbed}
   */
  copy() {
    return new _ContentEmbed(this.embed);
  }
  /**
   * @param {number} offset
   * @return {ContentEmbed}
   */
  splice(offset) {
    throw methodUnimplemented();
  }
  /**
   * @param {ContentEmbed} right
   * @return {boolean}
   */
  mergeWith(right) {
    return false;
  }
  /**
   * @param {Transaction} transaction
   * @param {Item} item
   */
  integrate(transaction, item) {
  }
  /**
   * @param {Transaction} transaction
   */
  delete(transaction) {
  }
  /**
   * @param {StructStore} store
   */
  gc(store) {
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder
   * @param {number} offset
   */
  write(encoder3, offset) {
    encoder3.writeJSON(this.embed);
  }
  /**
   * @return {number}
   */
  getRef() {
    return 5;
  }
};
var readContentEmbed = (decoder2) => new ContentEmbed(decoder2.readJSON());
var ContentFormat = class _ContentFormat {
  /**
   * @param {string} key
   * @param {Object} value
   */
  constructor(key, value) {
    this.key = key;
    this.value = value;
  }
  /**
   * @return {number}
   */
  getLength() {
    return 1;
  }
  /**
   * @return {Array<any>}
   */
  getContent() {
    return [];
  }
  /**
   * @return {boolean}
   */
  isCountable() {
    return false;
  }
  /**
   * @return {ContentFormat}
   */
  copy() {
    return new _ContentFormat(this.key, this.value);
  }
  /**
   * @param {number} _offset
   * @return {ContentFormat}
   */
  splice(_offset) {
    throw methodUnimplemented();
  }
  /**
   * @param {ContentFormat} _right
   * @return {boolean}
   */
  mergeWith(_right) {
    return false;
  }
  /**
   * @param {Transaction} _transaction
   * @param {Item} item
   */
  integrate(_transaction, item) {
    const p = (
      /** @type {YText} */
      item.parent
    );
    p._searchMarker = null;
    p._hasFormatting = true;
  }
  /**
   * @param {Transaction} transaction
   */
  delete(transaction) {
  }
  /**
   * @param {StructStore} store
   */
  gc(store) {
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder
   * @param {number} offset
   */
  write(encoder3, offset) {
    encoder3.writeKey(this.key);
    encoder3.writeJSON(this.value);
  }
  /**
   * @return {number}
   */
  getRef() {
    return 6;
  }
};
var readContentFormat = (decoder2) => new ContentFormat(decoder2.readKey(), decoder2.readJSON());
var ContentJSON = class _ContentJSON {
  /**
   * @param {Array<any>} arr
   */
  constructor(arr) {
    this.arr = arr;
  }
  /**
   * @return {number}
   */
  getLength() {
    return this.arr.length;
  }
  /**
   * @return {Array<any>}
   */
  getContent() {
    return this.arr;
  }
  /**
   * @return {boolean}
   */
  isCountable() {
    return true;
  }
  /**
   * @return {ContentJSON}
   */
  copy() {
    return new _ContentJSON(this.arr);
  }
  /**
   * @param {number} offset
   * @return {ContentJSON}
   */
  splice(offset) {
    const right = new _ContentJSON(this.arr.slice(offset));
    this.arr = this.arr.slice(0, offset);
    return right;
  }
  /**
   * @param {ContentJSON} right
   * @return {boolean}
   */
  mergeWith(right) {
    this.arr = this.arr.concat(right.arr);
    return true;
  }
  /**
   * @param {Transaction} transaction
   * @param {Item} item
   */
  integrate(transaction, item) {
  }
  /**
   * @param {Transaction} transaction
   */
  delete(transaction) {
  }
  /**
   * @param {StructStore} store
   */
  gc(store) {
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder
   * @param {number} offset
   */
  write(encoder3, offset) {
    const len = this.arr.length;
    encoder3.writeLen(len - offset);
    for (let i = offset; i < len; i++) {
      const c = this.arr[i];
      encoder3.writeString(c === void 0 ? "undefined" : JSON.stringify(c));
    }
  }
  /**
   * @return {number}
   */
  getRef() {
    return 2;
  }
};
var readContentJSON = (decoder2) => {
  const len = decoder2.readLen();
  const cs = [];
  for (let i = 0; i < len; i++) {
    const c = decoder2.readString();
    if (c === "undefined") {
      cs.push(void 0);
    } else {
      cs.push(JSON.parse(c));
    }
  }
  return new ContentJSON(cs);
};
var isDevMode = getVariable("node_env") === "development";
var ContentAny = class _ContentAny {
  /**
   * @param {Array<any>} arr
   */
  constructor(arr) {
    this.arr = arr;
    isDevMode && deepFreeze(arr);
  }
  /**
   * @return {number}
   */
  getLength() {
    return this.arr.length;
  }
  /**
   * @return {Array<any>}
   */
  getContent() {
    return this.arr;
  }
  /**
   * @return {boolean}
   */
  isCountable() {
    return true;
  }
  /**
   * @return {ContentAny}
   */
  copy() {
    return new _ContentAny(this.arr);
  }
  /**
   * @param {number} offset
   * @return {ContentAny}
   */
  splice(offset) {
    const right = new _ContentAny(this.arr.slice(offset));
    this.arr = this.arr.slice(0, offset);
    return right;
  }
  /**
   * @param {ContentAny} right
   * @return {boolean}
   */
  mergeWith(right) {
    this.arr = this.arr.concat(right.arr);
    return true;
  }
  /**
   * @param {Transaction} transaction
   * @param {Item} item
   */
  integrate(transaction, item) {
  }
  /**
   * @param {Transaction} transaction
   */
  delete(transaction) {
  }
  /**
   * @param {StructStore} store
   */
  gc(store) {
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder
   * @param {number} offset
   */
  write(encoder3, offset) {
    const len = this.arr.length;
    encoder3.writeLen(len - offset);
    for (let i = offset; i < len; i++) {
      const c = this.arr[i];
      encoder3.writeAny(c);
    }
  }
  /**
   * @return {number}
   */
  getRef() {
    return 8;
  }
};
var readContentAny = (decoder2) => {
  const len = decoder2.readLen();
  const cs = [];
  for (let i = 0; i < len; i++) {
    cs.push(decoder2.readAny());
  }
  return new ContentAny(cs);
};
var ContentString = class _ContentString {
  /**
   * @param {string} str
   */
  constructor(str) {
    this.str = str;
  }
  /**
   * @return {number}
   */
  getLength() {
    return this.str.length;
  }
  /**
   * @return {Array<any>}
   */
  getContent() {
    return this.str.split("");
  }
  /**
   * @return {boolean}
   */
  isCountable() {
    return true;
  }
  /**
   * @return {ContentString}
   */
  copy() {
    return new _ContentString(this.str);
  }
  /**
   * @param {number} offset
   * @return {ContentString}
   */
  splice(offset) {
    const right = new _ContentString(this.str.slice(offset));
    this.str = this.str.slice(0, offset);
    const firstCharCode = this.str.charCodeAt(offset - 1);
    if (firstCharCode >= 55296 && firstCharCode <= 56319) {
      this.str = this.str.slice(0, offset - 1) + "�";
      right.str = "�" + right.str.slice(1);
    }
    return right;
  }
  /**
   * @param {ContentString} right
   * @return {boolean}
   */
  mergeWith(right) {
    this.str += right.str;
    return true;
  }
  /**
   * @param {Transaction} transaction
   * @param {Item} item
   */
  integrate(transaction, item) {
  }
  /**
   * @param {Transaction} transaction
   */
  delete(transaction) {
  }
  /**
   * @param {StructStore} store
   */
  gc(store) {
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder
   * @param {number} offset
   */
  write(encoder3, offset) {
    encoder3.writeString(offset === 0 ? this.str : this.str.slice(offset));
  }
  /**
   * @return {number}
   */
  getRef() {
    return 4;
  }
};
var readContentString = (decoder2) => new ContentString(decoder2.readString());
var typeRefs = [
  readYArray,
  readYMap,
  readYText,
  readYXmlElement,
  readYXmlFragment,
  readYXmlHook,
  readYXmlText
];
var YArrayRefID = 0;
var YMapRefID = 1;
var YTextRefID = 2;
var YXmlElementRefID = 3;
var YXmlFragmentRefID = 4;
var YXmlHookRefID = 5;
var YXmlTextRefID = 6;
var ContentType = class _ContentType {
  /**
   * @param {AbstractType<any>} type
   */
  constructor(type) {
    this.type = type;
  }
  /**
   * @return {number}
   */
  getLength() {
    return 1;
  }
  /**
   * @return {Array<any>}
   */
  getContent() {
    return [this.type];
  }
  /**
   * @return {boolean}
   */
  isCountable() {
    return true;
  }
  /**
   * @return {ContentType}
   */
  copy() {
    return new _ContentType(this.type._copy());
  }
  /**
   * @param {number} offset
   * @return {ContentType}
   */
  splice(offset) {
    throw methodUnimplemented();
  }
  /**
   * @param {ContentType} right
   * @return {boolean}
   */
  mergeWith(right) {
    return false;
  }
  /**
   * @param {Transaction} transaction
   * @param {Item} item
   */
  integrate(transaction, item) {
    this.type._integrate(transaction.doc, item);
  }
  /**
   * @param {Transaction} transaction
   */
  delete(transaction) {
    let item = this.type._start;
    while (item !== null) {
      if (!item.deleted) {
        item.delete(transaction);
      } else if (item.id.clock < (transaction.beforeState.get(item.id.client) || 0)) {
        transaction._mergeStructs.push(item);
      }
      item = item.right;
    }
    this.type._map.forEach((item2) => {
      if (!item2.deleted) {
        item2.delete(transaction);
      } else if (item2.id.clock < (transaction.beforeState.get(item2.id.client) || 0)) {
        transaction._mergeStructs.push(item2);
      }
    });
    transaction.changed.delete(this.type);
  }
  /**
   * @param {StructStore} store
   */
  gc(store) {
    let item = this.type._start;
    while (item !== null) {
      item.gc(store, true);
      item = item.right;
    }
    this.type._start = null;
    this.type._map.forEach(
      /** @param {Item | null} item */
      (item2) => {
        while (item2 !== null) {
          item2.gc(store, true);
          item2 = item2.left;
        }
      }
    );
    this.type._map = /* @__PURE__ */ new Map();
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder
   * @param {number} offset
   */
  write(encoder3, offset) {
    this.type._write(encoder3);
  }
  /**
   * @return {number}
   */
  getRef() {
    return 7;
  }
};
var readContentType = (decoder2) => new ContentType(typeRefs[decoder2.readTypeRef()](decoder2));
var splitItem = (transaction, leftItem, diff) => {
  const { client, clock } = leftItem.id;
  const rightItem = new Item(
    createID(client, clock + diff),
    leftItem,
    createID(client, clock + diff - 1),
    leftItem.right,
    leftItem.rightOrigin,
    leftItem.parent,
    leftItem.parentSub,
    leftItem.content.splice(diff)
  );
  if (leftItem.deleted) {
    rightItem.markDeleted();
  }
  if (leftItem.keep) {
    rightItem.keep = true;
  }
  if (leftItem.redone !== null) {
    rightItem.redone = createID(leftItem.redone.client, leftItem.redone.clock + diff);
  }
  leftItem.right = rightItem;
  if (rightItem.right !== null) {
    rightItem.right.left = rightItem;
  }
  transaction._mergeStructs.push(rightItem);
  if (rightItem.parentSub !== null && rightItem.right === null) {
    rightItem.parent._map.set(rightItem.parentSub, rightItem);
  }
  leftItem.length = diff;
  return rightItem;
};
var Item = class _Item extends AbstractStruct {
  /**
   * @param {ID} id
   * @param {Item | null} left
   * @param {ID | null} origin
   * @param {Item | null} right
   * @param {ID | null} rightOrigin
   * @param {AbstractType<any>|ID|null} parent Is a type if integrated, is null if it is possible to copy parent from left or right, is ID before integration to search for it.
   * @param {string | null} parentSub
   * @param {AbstractContent} content
   */
  constructor(id2, left, origin, right, rightOrigin, parent, parentSub, content) {
    super(id2, content.getLength());
    this.origin = origin;
    this.left = left;
    this.right = right;
    this.rightOrigin = rightOrigin;
    this.parent = parent;
    this.parentSub = parentSub;
    this.redone = null;
    this.content = content;
    this.info = this.content.isCountable() ? BIT2 : 0;
  }
  /**
   * This is used to mark the item as an indexed fast-search marker
   *
   * @type {boolean}
   */
  set marker(isMarked) {
    if ((this.info & BIT4) > 0 !== isMarked) {
      this.info ^= BIT4;
    }
  }
  get marker() {
    return (this.info & BIT4) > 0;
  }
  /**
   * If true, do not garbage collect this Item.
   */
  get keep() {
    return (this.info & BIT1) > 0;
  }
  set keep(doKeep) {
    if (this.keep !== doKeep) {
      this.info ^= BIT1;
    }
  }
  get countable() {
    return (this.info & BIT2) > 0;
  }
  /**
   * Whether this item was deleted or not.
   * @type {Boolean}
   */
  get deleted() {
    return (this.info & BIT3) > 0;
  }
  set deleted(doDelete) {
    if (this.deleted !== doDelete) {
      this.info ^= BIT3;
    }
  }
  markDeleted() {
    this.info |= BIT3;
  }
  /**
   * Return the creator clientID of the missing op or define missing items and return null.
   *
   * @param {Transaction} transaction
   * @param {StructStore} store
   * @return {null | number}
   */
  getMissing(transaction, store) {
    if (this.origin && this.origin.client !== this.id.client && this.origin.clock >= getState(store, this.origin.client)) {
      return this.origin.client;
    }
    if (this.rightOrigin && this.rightOrigin.client !== this.id.client && this.rightOrigin.clock >= getState(store, this.rightOrigin.client)) {
      return this.rightOrigin.client;
    }
    if (this.parent && this.parent.constructor === ID && this.id.client !== this.parent.client && this.parent.clock >= getState(store, this.parent.client)) {
      return this.parent.client;
    }
    if (this.origin) {
      this.left = getItemCleanEnd(transaction, store, this.origin);
      this.origin = this.left.lastId;
    }
    if (this.rightOrigin) {
      this.right = getItemCleanStart(transaction, this.rightOrigin);
      this.rightOrigin = this.right.id;
    }
    if (this.left && this.left.constructor === GC || this.right && this.right.constructor === GC) {
      this.parent = null;
    } else if (!this.parent) {
      if (this.left && this.left.constructor === _Item) {
        this.parent = this.left.parent;
        this.parentSub = this.left.parentSub;
      } else if (this.right && this.right.constructor === _Item) {
        this.parent = this.right.parent;
        this.parentSub = this.right.parentSub;
      }
    } else if (this.parent.constructor === ID) {
      const parentItem = getItem(store, this.parent);
      if (parentItem.constructor === GC) {
        this.parent = null;
      } else {
        this.parent = /** @type {ContentType} */
        parentItem.content.type;
      }
    }
    return null;
  }
  /**
   * @param {Transaction} transaction
   * @param {number} offset
   */
  integrate(transaction, offset) {
    if (offset > 0) {
      this.id.clock += offset;
      this.left = getItemCleanEnd(transaction, transaction.doc.store, createID(this.id.client, this.id.clock - 1));
      this.origin = this.left.lastId;
      this.content = this.content.splice(offset);
      this.length -= offset;
    }
    if (this.parent) {
      if (!this.left && (!this.right || this.right.left !== null) || this.left && this.left.right !== this.right) {
        let left = this.left;
        let o;
        if (left !== null) {
          o = left.right;
        } else if (this.parentSub !== null) {
          o = /** @type {AbstractType<any>} */
          this.parent._map.get(this.parentSub) || null;
          while (o !== null && o.left !== null) {
            o = o.left;
          }
        } else {
          o = /** @type {AbstractType<any>} */
          this.parent._start;
        }
        const conflictingItems = /* @__PURE__ */ new Set();
        const itemsBeforeOrigin = /* @__PURE__ */ new Set();
        while (o !== null && o !== this.right) {
          itemsBeforeOrigin.add(o);
          conflictingItems.add(o);
          if (compareIDs(this.origin, o.origin)) {
            if (o.id.client < this.id.client) {
              left = o;
              conflictingItems.clear();
            } else if (compareIDs(this.rightOrigin, o.rightOrigin)) {
              break;
            }
          } else if (o.origin !== null && itemsBeforeOrigin.has(getItem(transaction.doc.store, o.origin))) {
            if (!conflictingItems.has(getItem(transaction.doc.store, o.origin))) {
              left = o;
              conflictingItems.clear();
            }
          } else {
            break;
          }
          o = o.right;
        }
        this.left = left;
      }
      if (this.left !== null) {
        const right = this.left.right;
        this.right = right;
        this.left.right = this;
      } else {
        let r;
        if (this.parentSub !== null) {
          r = /** @type {AbstractType<any>} */
          this.parent._map.get(this.parentSub) || null;
          while (r !== null && r.left !== null) {
            r = r.left;
          }
        } else {
          r = /** @type {AbstractType<any>} */
          this.parent._start;
          this.parent._start = this;
        }
        this.right = r;
      }
      if (this.right !== null) {
        this.right.left = this;
      } else if (this.parentSub !== null) {
        this.parent._map.set(this.parentSub, this);
        if (this.left !== null) {
          this.left.delete(transaction);
        }
      }
      if (this.parentSub === null && this.countable && !this.deleted) {
        this.parent._length += this.length;
      }
      addStruct(transaction.doc.store, this);
      this.content.integrate(transaction, this);
      addChangedTypeToTransaction(
        transaction,
        /** @type {AbstractType<any>} */
        this.parent,
        this.parentSub
      );
      if (
        /** @type {AbstractType<any>} */
        this.parent._item !== null && /** @type {AbstractType<any>} */
        this.parent._item.deleted || this.parentSub !== null && this.right !== null
      ) {
        this.delete(transaction);
      }
    } else {
      new GC(this.id, this.length).integrate(transaction, 0);
    }
  }
  /**
   * Returns the next non-deleted item
   */
  get next() {
    let n = this.right;
    while (n !== null && n.deleted) {
      n = n.right;
    }
    return n;
  }
  /**
   * Returns the previous non-deleted item
   */
  get prev() {
    let n = this.left;
    while (n !== null && n.deleted) {
      n = n.left;
    }
    return n;
  }
  /**
   * Computes the last content address of this Item.
   */
  get lastId() {
    return this.length === 1 ? this.id : createID(this.id.client, this.id.clock + this.length - 1);
  }
  /**
   * Try to merge two items
   *
   * @param {Item} right
   * @return {boolean}
   */
  mergeWith(right) {
    if (this.constructor === right.constructor && compareIDs(right.origin, this.lastId) && this.right === right && compareIDs(this.rightOrigin, right.rightOrigin) && this.id.client === right.id.client && this.id.clock + this.length === right.id.clock && this.deleted === right.deleted && this.redone === null && right.redone === null && this.content.constructor === right.content.constructor && this.content.mergeWith(right.content)) {
      const searchMarker = (
        /** @type {AbstractType<any>} */
        this.parent._searchMarker
      );
      if (searchMarker) {
        searchMarker.forEach((marker) => {
          if (marker.p === right) {
            marker.p = this;
            if (!this.deleted && this.countable) {
              marker.index -= this.length;
            }
          }
        });
      }
      if (right.keep) {
        this.keep = true;
      }
      this.right = right.right;
      if (this.right !== null) {
        this.right.left = this;
      }
      this.length += right.length;
      return true;
    }
    return false;
  }
  /**
   * Mark this Item as deleted.
   *
   * @param {Transaction} transaction
   */
  delete(transaction) {
    if (!this.deleted) {
      const parent = (
        /** @type {AbstractType<any>} */
        this.parent
      );
      if (this.countable && this.parentSub === null) {
        parent._length -= this.length;
      }
      this.markDeleted();
      addToDeleteSet(transaction.deleteSet, this.id.client, this.id.clock, this.length);
      addChangedTypeToTransaction(transaction, parent, this.parentSub);
      this.content.delete(transaction);
    }
  }
  /**
   * @param {StructStore} store
   * @param {boolean} parentGCd
   */
  gc(store, parentGCd) {
    if (!this.deleted) {
      throw unexpectedCase();
    }
    this.content.gc(store);
    if (parentGCd) {
      replaceStruct(store, this, new GC(this.id, this.length));
    } else {
      this.content = new ContentDeleted(this.length);
    }
  }
  /**
   * Transform the properties of this type to binary and write it to an
   * BinaryEncoder.
   *
   * This is called when this Item is sent to a remote peer.
   *
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder The encoder to write data to.
   * @param {number} offset
   */
  write(encoder3, offset) {
    const origin = offset > 0 ? createID(this.id.client, this.id.clock + offset - 1) : this.origin;
    const rightOrigin = this.rightOrigin;
    const parentSub = this.parentSub;
    const info = this.content.getRef() & BITS5 | (origin === null ? 0 : BIT8) | // origin is defined
    (rightOrigin === null ? 0 : BIT7) | // right origin is defined
    (parentSub === null ? 0 : BIT6);
    encoder3.writeInfo(info);
    if (origin !== null) {
      encoder3.writeLeftID(origin);
    }
    if (rightOrigin !== null) {
      encoder3.writeRightID(rightOrigin);
    }
    if (origin === null && rightOrigin === null) {
      const parent = (
        /** @type {AbstractType<any>} */
        this.parent
      );
      if (parent._item !== void 0) {
        const parentItem = parent._item;
        if (parentItem === null) {
          const ykey = findRootTypeKey(parent);
          encoder3.writeParentInfo(true);
          encoder3.writeString(ykey);
        } else {
          encoder3.writeParentInfo(false);
          encoder3.writeLeftID(parentItem.id);
        }
      } else if (parent.constructor === String) {
        encoder3.writeParentInfo(true);
        encoder3.writeString(parent);
      } else if (parent.constructor === ID) {
        encoder3.writeParentInfo(false);
        encoder3.writeLeftID(parent);
      } else {
        unexpectedCase();
      }
      if (parentSub !== null) {
        encoder3.writeString(parentSub);
      }
    }
    this.content.write(encoder3, offset);
  }
};
var readItemContent = (decoder2, info) => contentRefs[info & BITS5](decoder2);
var contentRefs = [
  () => {
    unexpectedCase();
  },
  // GC is not ItemContent
  readContentDeleted,
  // 1
  readContentJSON,
  // 2
  readContentBinary,
  // 3
  readContentString,
  // 4
  readContentEmbed,
  // 5
  readContentFormat,
  // 6
  readContentType,
  // 7
  readContentAny,
  // 8
  readContentDoc,
  // 9
  () => {
    unexpectedCase();
  }
  // 10 - Skip is not ItemContent
];
var structSkipRefNumber = 10;
var Skip = class extends AbstractStruct {
  get deleted() {
    return true;
  }
  delete() {
  }
  /**
   * @param {Skip} right
   * @return {boolean}
   */
  mergeWith(right) {
    if (this.constructor !== right.constructor) {
      return false;
    }
    this.length += right.length;
    return true;
  }
  /**
   * @param {Transaction} transaction
   * @param {number} offset
   */
  integrate(transaction, offset) {
    unexpectedCase();
  }
  /**
   * @param {UpdateEncoderV1 | UpdateEncoderV2} encoder
   * @param {number} offset
   */
  write(encoder3, offset) {
    encoder3.writeInfo(structSkipRefNumber);
    writeVarUint(encoder3.restEncoder, this.length - offset);
  }
  /**
   * @param {Transaction} transaction
   * @param {StructStore} store
   * @return {null | number}
   */
  getMissing(transaction, store) {
    return null;
  }
};
var glo = (
  /** @type {any} */
  typeof globalThis !== "undefined" ? globalThis : typeof window !== "undefined" ? window : typeof global !== "undefined" ? global : {}
);
var importIdentifier = "__ $YJS$ __";
if (glo[importIdentifier] === true) {
  console.error("Yjs was already imported. This breaks constructor checks and will lead to issues! - https://github.com/yjs/yjs/issues/438");
}
glo[importIdentifier] = true;

// node_modules/y-protocols/awareness.js
var outdatedTimeout = 3e4;
var Awareness = class extends Observable {
  /**
   * @param {Y.Doc} doc
   */
  constructor(doc2) {
    super();
    this.doc = doc2;
    this.clientID = doc2.clientID;
    this.states = /* @__PURE__ */ new Map();
    this.meta = /* @__PURE__ */ new Map();
    this._checkInterval = /** @type {any} */
    setInterval(() => {
      const now = getUnixTime();
      if (this.getLocalState() !== null && outdatedTimeout / 2 <= now - /** @type {{lastUpdated:number}} */
      this.meta.get(this.clientID).lastUpdated) {
        this.setLocalState(this.getLocalState());
      }
      const remove = [];
      this.meta.forEach((meta, clientid) => {
        if (clientid !== this.clientID && outdatedTimeout <= now - meta.lastUpdated && this.states.has(clientid)) {
          remove.push(clientid);
        }
      });
      if (remove.length > 0) {
        removeAwarenessStates(this, remove, "timeout");
      }
    }, floor(outdatedTimeout / 10));
    doc2.on("destroy", () => {
      this.destroy();
    });
    this.setLocalState({});
  }
  destroy() {
    this.emit("destroy", [this]);
    this.setLocalState(null);
    super.destroy();
    clearInterval(this._checkInterval);
  }
  /**
   * @return {Object<string,any>|null}
   */
  getLocalState() {
    return this.states.get(this.clientID) || null;
  }
  /**
   * @param {Object<string,any>|null} state
   */
  setLocalState(state) {
    const clientID = this.clientID;
    const currLocalMeta = this.meta.get(clientID);
    const clock = currLocalMeta === void 0 ? 0 : currLocalMeta.clock + 1;
    const prevState = this.states.get(clientID);
    if (state === null) {
      this.states.delete(clientID);
    } else {
      this.states.set(clientID, state);
    }
    this.meta.set(clientID, {
      clock,
      lastUpdated: getUnixTime()
    });
    const added = [];
    const updated = [];
    const filteredUpdated = [];
    const removed = [];
    if (state === null) {
      removed.push(clientID);
    } else if (prevState == null) {
      if (state != null) {
        added.push(clientID);
      }
    } else {
      updated.push(clientID);
      if (!equalityDeep(prevState, state)) {
        filteredUpdated.push(clientID);
      }
    }
    if (added.length > 0 || filteredUpdated.length > 0 || removed.length > 0) {
      this.emit("change", [{ added, updated: filteredUpdated, removed }, "local"]);
    }
    this.emit("update", [{ added, updated, removed }, "local"]);
  }
  /**
   * @param {string} field
   * @param {any} value
   */
  setLocalStateField(field, value) {
    const state = this.getLocalState();
    if (state !== null) {
      this.setLocalState({
        ...state,
        [field]: value
      });
    }
  }
  /**
   * @return {Map<number,Object<string,any>>}
   */
  getStates() {
    return this.states;
  }
};
var removeAwarenessStates = (awareness, clients, origin) => {
  const removed = [];
  for (let i = 0; i < clients.length; i++) {
    const clientID = clients[i];
    if (awareness.states.has(clientID)) {
      awareness.states.delete(clientID);
      if (clientID === awareness.clientID) {
        const curMeta = (
          /** @type {MetaClientState} */
          awareness.meta.get(clientID)
        );
        awareness.meta.set(clientID, {
          clock: curMeta.clock + 1,
          lastUpdated: getUnixTime()
        });
      }
      removed.push(clientID);
    }
  }
  if (removed.length > 0) {
    awareness.emit("change", [{ added: [], updated: [], removed }, origin]);
    awareness.emit("update", [{ added: [], updated: [], removed }, origin]);
  }
};
var encodeAwarenessUpdate = (awareness, clients, states = awareness.states) => {
  const len = clients.length;
  const encoder3 = createEncoder();
  writeVarUint(encoder3, len);
  for (let i = 0; i < len; i++) {
    const clientID = clients[i];
    const state = states.get(clientID) || null;
    const clock = (
      /** @type {MetaClientState} */
      awareness.meta.get(clientID).clock
    );
    writeVarUint(encoder3, clientID);
    writeVarUint(encoder3, clock);
    writeVarString(encoder3, JSON.stringify(state));
  }
  return toUint8Array(encoder3);
};
var applyAwarenessUpdate = (awareness, update, origin) => {
  const decoder2 = createDecoder(update);
  const timestamp = getUnixTime();
  const added = [];
  const updated = [];
  const filteredUpdated = [];
  const removed = [];
  const len = readVarUint(decoder2);
  for (let i = 0; i < len; i++) {
    const clientID = readVarUint(decoder2);
    let clock = readVarUint(decoder2);
    const state = JSON.parse(readVarString(decoder2));
    const clientMeta = awareness.meta.get(clientID);
    const prevState = awareness.states.get(clientID);
    const currClock = clientMeta === void 0 ? 0 : clientMeta.clock;
    if (currClock < clock || currClock === clock && state === null && awareness.states.has(clientID)) {
      if (state === null) {
        if (clientID === awareness.clientID && awareness.getLocalState() != null) {
          clock++;
        } else {
          awareness.states.delete(clientID);
        }
      } else {
        awareness.states.set(clientID, state);
      }
      awareness.meta.set(clientID, {
        clock,
        lastUpdated: timestamp
      });
      if (clientMeta === void 0 && state !== null) {
        added.push(clientID);
      } else if (clientMeta !== void 0 && state === null) {
        removed.push(clientID);
      } else if (state !== null) {
        if (!equalityDeep(state, prevState)) {
          filteredUpdated.push(clientID);
        }
        updated.push(clientID);
      }
    }
  }
  if (added.length > 0 || filteredUpdated.length > 0 || removed.length > 0) {
    awareness.emit("change", [{
      added,
      updated: filteredUpdated,
      removed
    }, origin]);
  }
  if (added.length > 0 || updated.length > 0 || removed.length > 0) {
    awareness.emit("update", [{
      added,
      updated,
      removed
    }, origin]);
  }
};

// node_modules/y-protocols/sync.js
var messageYjsSyncStep1 = 0;
var messageYjsSyncStep2 = 1;
var messageYjsUpdate = 2;
var writeSyncStep1 = (encoder3, doc2) => {
  writeVarUint(encoder3, messageYjsSyncStep1);
  const sv = encodeStateVector(doc2);
  writeVarUint8Array(encoder3, sv);
};
var writeSyncStep2 = (encoder3, doc2, encodedStateVector) => {
  writeVarUint(encoder3, messageYjsSyncStep2);
  writeVarUint8Array(encoder3, encodeStateAsUpdate(doc2, encodedStateVector));
};

// src/errors.js
var ComityError = class extends Error {
  /**
   * @param {string} what what happened, one clause
   * @param {{ subject?: string, remedy?: string }} [about] the thing it happened to, and what can be done about it
   */
  constructor(what, { subject = "", remedy = "" } = {}) {
    const head = subject === "" ? what : `${subject}: ${what}`;
    super(remedy === "" ? head : `${head}; ${remedy}`);
    this.name = new.target.name;
    this.what = what;
    this.subject = subject;
    this.remedy = remedy;
  }
};
var StateError = class extends ComityError {
};
var SchemaError = class extends StateError {
};
var InvalidValueError = class extends StateError {
};
var TransactionError = class extends StateError {
};
var RoomError = class extends ComityError {
};
var TooLargeError = class extends RoomError {
};

// src/failures.js
var ProtocolError = class extends ComityError {
};
var AccessError = class extends ComityError {
};
var UnauthenticatedError = class extends AccessError {
};
var ForbiddenError = class extends AccessError {
};
var RoomNotFoundError = class extends RoomError {
};
var LineageError = class extends RoomError {
};
var ErasedError = class extends RoomError {
};
var OverloadError = class extends ComityError {
};
var DrainingError = class extends OverloadError {
};
var TooSlowError = class extends OverloadError {
};
var TooFastError = class extends OverloadError {
};
var ConnectionFailedError = class extends ComityError {
};
var ERASED = 4410;
var BY_CLOSE_CODE = {
  1009: TooLargeError,
  // the standard's own, of a transport that read no further
  4400: ProtocolError,
  4401: UnauthenticatedError,
  4403: ForbiddenError,
  4404: RoomNotFoundError,
  4409: LineageError,
  [ERASED]: ErasedError,
  4413: TooLargeError,
  4503: DrainingError,
  4508: TooSlowError,
  4529: TooFastError
};
var errorFor = (code, reason, subject) => {
  const Kind = BY_CLOSE_CODE[code] ?? ConnectionFailedError;
  return new Kind(reason || `closed with code ${code}`, { subject });
};
var isPermanent = (code) => code >= 4400 && code < 4500 || code === 1009;

// node_modules/@msgpack/msgpack/dist.esm/utils/utf8.mjs
function utf8Count(str) {
  const strLength = str.length;
  let byteLength = 0;
  let pos = 0;
  while (pos < strLength) {
    let value = str.charCodeAt(pos++);
    if ((value & 4294967168) === 0) {
      byteLength++;
      continue;
    } else if ((value & 4294965248) === 0) {
      byteLength += 2;
    } else {
      if (value >= 55296 && value <= 56319) {
        if (pos < strLength) {
          const extra = str.charCodeAt(pos);
          if ((extra & 64512) === 56320) {
            ++pos;
            value = ((value & 1023) << 10) + (extra & 1023) + 65536;
          }
        }
      }
      if ((value & 4294901760) === 0) {
        byteLength += 3;
      } else {
        byteLength += 4;
      }
    }
  }
  return byteLength;
}
function utf8EncodeJs(str, output, outputOffset) {
  const strLength = str.length;
  let offset = outputOffset;
  let pos = 0;
  while (pos < strLength) {
    let value = str.charCodeAt(pos++);
    if ((value & 4294967168) === 0) {
      output[offset++] = value;
      continue;
    } else if ((value & 4294965248) === 0) {
      output[offset++] = value >> 6 & 31 | 192;
    } else {
      if (value >= 55296 && value <= 56319) {
        if (pos < strLength) {
          const extra = str.charCodeAt(pos);
          if ((extra & 64512) === 56320) {
            ++pos;
            value = ((value & 1023) << 10) + (extra & 1023) + 65536;
          }
        }
      }
      if ((value & 4294901760) === 0) {
        output[offset++] = value >> 12 & 15 | 224;
        output[offset++] = value >> 6 & 63 | 128;
      } else {
        output[offset++] = value >> 18 & 7 | 240;
        output[offset++] = value >> 12 & 63 | 128;
        output[offset++] = value >> 6 & 63 | 128;
      }
    }
    output[offset++] = value & 63 | 128;
  }
}
var sharedTextEncoder = new TextEncoder();
var TEXT_ENCODER_THRESHOLD = 50;
function utf8EncodeTE(str, output, outputOffset) {
  sharedTextEncoder.encodeInto(str, output.subarray(outputOffset));
}
function utf8Encode(str, output, outputOffset) {
  if (str.length > TEXT_ENCODER_THRESHOLD) {
    utf8EncodeTE(str, output, outputOffset);
  } else {
    utf8EncodeJs(str, output, outputOffset);
  }
}
var CHUNK_SIZE = 4096;
function utf8DecodeJs(bytes2, inputOffset, byteLength) {
  let offset = inputOffset;
  const end = offset + byteLength;
  const units = [];
  let result = "";
  while (offset < end) {
    const byte1 = bytes2[offset++];
    if ((byte1 & 128) === 0) {
      units.push(byte1);
    } else if ((byte1 & 224) === 192) {
      const byte2 = bytes2[offset++] & 63;
      units.push((byte1 & 31) << 6 | byte2);
    } else if ((byte1 & 240) === 224) {
      const byte2 = bytes2[offset++] & 63;
      const byte3 = bytes2[offset++] & 63;
      units.push((byte1 & 31) << 12 | byte2 << 6 | byte3);
    } else if ((byte1 & 248) === 240) {
      const byte2 = bytes2[offset++] & 63;
      const byte3 = bytes2[offset++] & 63;
      const byte4 = bytes2[offset++] & 63;
      let unit = (byte1 & 7) << 18 | byte2 << 12 | byte3 << 6 | byte4;
      if (unit > 65535) {
        unit -= 65536;
        units.push(unit >>> 10 & 1023 | 55296);
        unit = 56320 | unit & 1023;
      }
      units.push(unit);
    } else {
      units.push(byte1);
    }
    if (units.length >= CHUNK_SIZE) {
      result += String.fromCharCode(...units);
      units.length = 0;
    }
  }
  if (units.length > 0) {
    result += String.fromCharCode(...units);
  }
  return result;
}
var sharedTextDecoder = new TextDecoder();
var TEXT_DECODER_THRESHOLD = 200;
function utf8DecodeTD(bytes2, inputOffset, byteLength) {
  const stringBytes = bytes2.subarray(inputOffset, inputOffset + byteLength);
  return sharedTextDecoder.decode(stringBytes);
}
function utf8Decode(bytes2, inputOffset, byteLength) {
  if (byteLength > TEXT_DECODER_THRESHOLD) {
    return utf8DecodeTD(bytes2, inputOffset, byteLength);
  } else {
    return utf8DecodeJs(bytes2, inputOffset, byteLength);
  }
}

// node_modules/@msgpack/msgpack/dist.esm/ExtData.mjs
var ExtData = class {
  type;
  data;
  constructor(type, data) {
    this.type = type;
    this.data = data;
  }
};

// node_modules/@msgpack/msgpack/dist.esm/DecodeError.mjs
var DecodeError = class _DecodeError extends Error {
  constructor(message) {
    super(message);
    const proto = Object.create(_DecodeError.prototype);
    Object.setPrototypeOf(this, proto);
    Object.defineProperty(this, "name", {
      configurable: true,
      enumerable: false,
      value: _DecodeError.name
    });
  }
};

// node_modules/@msgpack/msgpack/dist.esm/utils/int.mjs
var UINT32_MAX = 4294967295;
function setUint64(view2, offset, value) {
  const high = value / 4294967296;
  const low = value;
  view2.setUint32(offset, high);
  view2.setUint32(offset + 4, low);
}
function setInt64(view2, offset, value) {
  const high = Math.floor(value / 4294967296);
  const low = value;
  view2.setUint32(offset, high);
  view2.setUint32(offset + 4, low);
}
function getInt64(view2, offset) {
  const high = view2.getInt32(offset);
  const low = view2.getUint32(offset + 4);
  return high * 4294967296 + low;
}
function getUint64(view2, offset) {
  const high = view2.getUint32(offset);
  const low = view2.getUint32(offset + 4);
  return high * 4294967296 + low;
}

// node_modules/@msgpack/msgpack/dist.esm/timestamp.mjs
var EXT_TIMESTAMP = -1;
var TIMESTAMP32_MAX_SEC = 4294967296 - 1;
var TIMESTAMP64_MAX_SEC = 17179869184 - 1;
function encodeTimeSpecToTimestamp({ sec, nsec }) {
  if (sec >= 0 && nsec >= 0 && sec <= TIMESTAMP64_MAX_SEC) {
    if (nsec === 0 && sec <= TIMESTAMP32_MAX_SEC) {
      const rv = new Uint8Array(4);
      const view2 = new DataView(rv.buffer);
      view2.setUint32(0, sec);
      return rv;
    } else {
      const secHigh = sec / 4294967296;
      const secLow = sec & 4294967295;
      const rv = new Uint8Array(8);
      const view2 = new DataView(rv.buffer);
      view2.setUint32(0, nsec << 2 | secHigh & 3);
      view2.setUint32(4, secLow);
      return rv;
    }
  } else {
    const rv = new Uint8Array(12);
    const view2 = new DataView(rv.buffer);
    view2.setUint32(0, nsec);
    setInt64(view2, 4, sec);
    return rv;
  }
}
function encodeDateToTimeSpec(date) {
  const msec = date.getTime();
  const sec = Math.floor(msec / 1e3);
  const nsec = (msec - sec * 1e3) * 1e6;
  const nsecInSec = Math.floor(nsec / 1e9);
  return {
    sec: sec + nsecInSec,
    nsec: nsec - nsecInSec * 1e9
  };
}
function encodeTimestampExtension(object) {
  if (object instanceof Date) {
    const timeSpec = encodeDateToTimeSpec(object);
    return encodeTimeSpecToTimestamp(timeSpec);
  } else {
    return null;
  }
}
function decodeTimestampToTimeSpec(data) {
  const view2 = new DataView(data.buffer, data.byteOffset, data.byteLength);
  switch (data.byteLength) {
    case 4: {
      const sec = view2.getUint32(0);
      const nsec = 0;
      return { sec, nsec };
    }
    case 8: {
      const nsec30AndSecHigh2 = view2.getUint32(0);
      const secLow32 = view2.getUint32(4);
      const sec = (nsec30AndSecHigh2 & 3) * 4294967296 + secLow32;
      const nsec = nsec30AndSecHigh2 >>> 2;
      return { sec, nsec };
    }
    case 12: {
      const sec = getInt64(view2, 4);
      const nsec = view2.getUint32(0);
      return { sec, nsec };
    }
    default:
      throw new DecodeError(`Unrecognized data size for timestamp (expected 4, 8, or 12): ${data.length}`);
  }
}
function decodeTimestampExtension(data) {
  const timeSpec = decodeTimestampToTimeSpec(data);
  return new Date(timeSpec.sec * 1e3 + timeSpec.nsec / 1e6);
}
var timestampExtension = {
  type: EXT_TIMESTAMP,
  encode: encodeTimestampExtension,
  decode: decodeTimestampExtension
};

// node_modules/@msgpack/msgpack/dist.esm/ExtensionCodec.mjs
var ExtensionCodec = class _ExtensionCodec {
  static defaultCodec = new _ExtensionCodec();
  // ensures ExtensionCodecType<X> matches ExtensionCodec<X>
  // this will make type errors a lot more clear
  // eslint-disable-next-line @typescript-eslint/naming-convention
  __brand;
  // built-in extensions
  builtInEncoders = [];
  builtInDecoders = [];
  // custom extensions
  encoders = [];
  decoders = [];
  constructor() {
    this.register(timestampExtension);
  }
  register({ type, encode: encode3, decode: decode2 }) {
    if (type >= 0) {
      this.encoders[type] = encode3;
      this.decoders[type] = decode2;
    } else {
      const index = -1 - type;
      this.builtInEncoders[index] = encode3;
      this.builtInDecoders[index] = decode2;
    }
  }
  tryToEncode(object, context) {
    for (let i = 0; i < this.builtInEncoders.length; i++) {
      const encodeExt = this.builtInEncoders[i];
      if (encodeExt != null) {
        const data = encodeExt(object, context);
        if (data != null) {
          const type = -1 - i;
          return new ExtData(type, data);
        }
      }
    }
    for (let i = 0; i < this.encoders.length; i++) {
      const encodeExt = this.encoders[i];
      if (encodeExt != null) {
        const data = encodeExt(object, context);
        if (data != null) {
          const type = i;
          return new ExtData(type, data);
        }
      }
    }
    if (object instanceof ExtData) {
      return object;
    }
    return null;
  }
  decode(data, type, context) {
    const decodeExt = type < 0 ? this.builtInDecoders[-1 - type] : this.decoders[type];
    if (decodeExt) {
      return decodeExt(data, type, context);
    } else {
      return new ExtData(type, data);
    }
  }
};

// node_modules/@msgpack/msgpack/dist.esm/utils/typedArrays.mjs
function isArrayBufferLike(buffer) {
  return buffer instanceof ArrayBuffer || typeof SharedArrayBuffer !== "undefined" && buffer instanceof SharedArrayBuffer;
}
function ensureUint8Array(buffer) {
  if (buffer instanceof Uint8Array) {
    return buffer;
  } else if (ArrayBuffer.isView(buffer)) {
    return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  } else if (isArrayBufferLike(buffer)) {
    return new Uint8Array(buffer);
  } else {
    return Uint8Array.from(buffer);
  }
}

// node_modules/@msgpack/msgpack/dist.esm/Encoder.mjs
var DEFAULT_MAX_DEPTH = 100;
var DEFAULT_INITIAL_BUFFER_SIZE = 2048;
var Encoder2 = class _Encoder {
  extensionCodec;
  context;
  useBigInt64;
  maxDepth;
  initialBufferSize;
  sortKeys;
  forceFloat32;
  ignoreUndefined;
  forceIntegerToFloat;
  pos;
  view;
  bytes;
  entered = false;
  constructor(options) {
    this.extensionCodec = options?.extensionCodec ?? ExtensionCodec.defaultCodec;
    this.context = options?.context;
    this.useBigInt64 = options?.useBigInt64 ?? false;
    this.maxDepth = options?.maxDepth ?? DEFAULT_MAX_DEPTH;
    this.initialBufferSize = options?.initialBufferSize ?? DEFAULT_INITIAL_BUFFER_SIZE;
    this.sortKeys = options?.sortKeys ?? false;
    this.forceFloat32 = options?.forceFloat32 ?? false;
    this.ignoreUndefined = options?.ignoreUndefined ?? false;
    this.forceIntegerToFloat = options?.forceIntegerToFloat ?? false;
    this.pos = 0;
    this.view = new DataView(new ArrayBuffer(this.initialBufferSize));
    this.bytes = new Uint8Array(this.view.buffer);
  }
  clone() {
    return new _Encoder({
      extensionCodec: this.extensionCodec,
      context: this.context,
      useBigInt64: this.useBigInt64,
      maxDepth: this.maxDepth,
      initialBufferSize: this.initialBufferSize,
      sortKeys: this.sortKeys,
      forceFloat32: this.forceFloat32,
      ignoreUndefined: this.ignoreUndefined,
      forceIntegerToFloat: this.forceIntegerToFloat
    });
  }
  reinitializeState() {
    this.pos = 0;
  }
  /**
   * This is almost equivalent to {@link Encoder#encode}, but it returns an reference of the encoder's internal buffer and thus much faster than {@link Encoder#encode}.
   *
   * @returns Encodes the object and returns a shared reference the encoder's internal buffer.
   */
  encodeSharedRef(object) {
    if (this.entered) {
      const instance = this.clone();
      return instance.encodeSharedRef(object);
    }
    try {
      this.entered = true;
      this.reinitializeState();
      this.doEncode(object, 1);
      return this.bytes.subarray(0, this.pos);
    } finally {
      this.entered = false;
    }
  }
  /**
   * @returns Encodes the object and returns a copy of the encoder's internal buffer.
   */
  encode(object) {
    if (this.entered) {
      const instance = this.clone();
      return instance.encode(object);
    }
    try {
      this.entered = true;
      this.reinitializeState();
      this.doEncode(object, 1);
      return this.bytes.slice(0, this.pos);
    } finally {
      this.entered = false;
    }
  }
  doEncode(object, depth) {
    if (depth > this.maxDepth) {
      throw new Error(`Too deep objects in depth ${depth}`);
    }
    if (object == null) {
      this.encodeNil();
    } else if (typeof object === "boolean") {
      this.encodeBoolean(object);
    } else if (typeof object === "number") {
      if (!this.forceIntegerToFloat) {
        this.encodeNumber(object);
      } else {
        this.encodeNumberAsFloat(object);
      }
    } else if (typeof object === "string") {
      this.encodeString(object);
    } else if (this.useBigInt64 && typeof object === "bigint") {
      this.encodeBigInt64(object);
    } else {
      this.encodeObject(object, depth);
    }
  }
  ensureBufferSizeToWrite(sizeToWrite) {
    const requiredSize = this.pos + sizeToWrite;
    if (this.view.byteLength < requiredSize) {
      this.resizeBuffer(requiredSize * 2);
    }
  }
  resizeBuffer(newSize) {
    const newBuffer = new ArrayBuffer(newSize);
    const newBytes = new Uint8Array(newBuffer);
    const newView = new DataView(newBuffer);
    newBytes.set(this.bytes);
    this.view = newView;
    this.bytes = newBytes;
  }
  encodeNil() {
    this.writeU8(192);
  }
  encodeBoolean(object) {
    if (object === false) {
      this.writeU8(194);
    } else {
      this.writeU8(195);
    }
  }
  encodeNumber(object) {
    if (!this.forceIntegerToFloat && Number.isSafeInteger(object)) {
      if (object >= 0) {
        if (object < 128) {
          this.writeU8(object);
        } else if (object < 256) {
          this.writeU8(204);
          this.writeU8(object);
        } else if (object < 65536) {
          this.writeU8(205);
          this.writeU16(object);
        } else if (object < 4294967296) {
          this.writeU8(206);
          this.writeU32(object);
        } else if (!this.useBigInt64) {
          this.writeU8(207);
          this.writeU64(object);
        } else {
          this.encodeNumberAsFloat(object);
        }
      } else {
        if (object >= -32) {
          this.writeU8(224 | object + 32);
        } else if (object >= -128) {
          this.writeU8(208);
          this.writeI8(object);
        } else if (object >= -32768) {
          this.writeU8(209);
          this.writeI16(object);
        } else if (object >= -2147483648) {
          this.writeU8(210);
          this.writeI32(object);
        } else if (!this.useBigInt64) {
          this.writeU8(211);
          this.writeI64(object);
        } else {
          this.encodeNumberAsFloat(object);
        }
      }
    } else {
      this.encodeNumberAsFloat(object);
    }
  }
  encodeNumberAsFloat(object) {
    if (this.forceFloat32) {
      this.writeU8(202);
      this.writeF32(object);
    } else {
      this.writeU8(203);
      this.writeF64(object);
    }
  }
  encodeBigInt64(object) {
    if (object >= BigInt(0)) {
      this.writeU8(207);
      this.writeBigUint64(object);
    } else {
      this.writeU8(211);
      this.writeBigInt64(object);
    }
  }
  writeStringHeader(byteLength) {
    if (byteLength < 32) {
      this.writeU8(160 + byteLength);
    } else if (byteLength < 256) {
      this.writeU8(217);
      this.writeU8(byteLength);
    } else if (byteLength < 65536) {
      this.writeU8(218);
      this.writeU16(byteLength);
    } else if (byteLength < 4294967296) {
      this.writeU8(219);
      this.writeU32(byteLength);
    } else {
      throw new Error(`Too long string: ${byteLength} bytes in UTF-8`);
    }
  }
  encodeString(object) {
    const maxHeaderSize = 1 + 4;
    const byteLength = utf8Count(object);
    this.ensureBufferSizeToWrite(maxHeaderSize + byteLength);
    this.writeStringHeader(byteLength);
    utf8Encode(object, this.bytes, this.pos);
    this.pos += byteLength;
  }
  encodeObject(object, depth) {
    const ext = this.extensionCodec.tryToEncode(object, this.context);
    if (ext != null) {
      this.encodeExtension(ext);
    } else if (Array.isArray(object)) {
      this.encodeArray(object, depth);
    } else if (ArrayBuffer.isView(object)) {
      this.encodeBinary(object);
    } else if (typeof object === "object") {
      this.encodeMap(object, depth);
    } else {
      throw new Error(`Unrecognized object: ${Object.prototype.toString.apply(object)}`);
    }
  }
  encodeBinary(object) {
    const size2 = object.byteLength;
    if (size2 < 256) {
      this.writeU8(196);
      this.writeU8(size2);
    } else if (size2 < 65536) {
      this.writeU8(197);
      this.writeU16(size2);
    } else if (size2 < 4294967296) {
      this.writeU8(198);
      this.writeU32(size2);
    } else {
      throw new Error(`Too large binary: ${size2}`);
    }
    const bytes2 = ensureUint8Array(object);
    this.writeU8a(bytes2);
  }
  encodeArray(object, depth) {
    const size2 = object.length;
    if (size2 < 16) {
      this.writeU8(144 + size2);
    } else if (size2 < 65536) {
      this.writeU8(220);
      this.writeU16(size2);
    } else if (size2 < 4294967296) {
      this.writeU8(221);
      this.writeU32(size2);
    } else {
      throw new Error(`Too large array: ${size2}`);
    }
    for (const item of object) {
      this.doEncode(item, depth + 1);
    }
  }
  countWithoutUndefined(object, keys2) {
    let count = 0;
    for (const key of keys2) {
      if (object[key] !== void 0) {
        count++;
      }
    }
    return count;
  }
  encodeMap(object, depth) {
    const keys2 = Object.keys(object);
    if (this.sortKeys) {
      keys2.sort();
    }
    const size2 = this.ignoreUndefined ? this.countWithoutUndefined(object, keys2) : keys2.length;
    if (size2 < 16) {
      this.writeU8(128 + size2);
    } else if (size2 < 65536) {
      this.writeU8(222);
      this.writeU16(size2);
    } else if (size2 < 4294967296) {
      this.writeU8(223);
      this.writeU32(size2);
    } else {
      throw new Error(`Too large map object: ${size2}`);
    }
    for (const key of keys2) {
      const value = object[key];
      if (!(this.ignoreUndefined && value === void 0)) {
        this.encodeString(key);
        this.doEncode(value, depth + 1);
      }
    }
  }
  encodeExtension(ext) {
    if (typeof ext.data === "function") {
      const data = ext.data(this.pos + 6);
      const size3 = data.length;
      if (size3 >= 4294967296) {
        throw new Error(`Too large extension object: ${size3}`);
      }
      this.writeU8(201);
      this.writeU32(size3);
      this.writeI8(ext.type);
      this.writeU8a(data);
      return;
    }
    const size2 = ext.data.length;
    if (size2 === 1) {
      this.writeU8(212);
    } else if (size2 === 2) {
      this.writeU8(213);
    } else if (size2 === 4) {
      this.writeU8(214);
    } else if (size2 === 8) {
      this.writeU8(215);
    } else if (size2 === 16) {
      this.writeU8(216);
    } else if (size2 < 256) {
      this.writeU8(199);
      this.writeU8(size2);
    } else if (size2 < 65536) {
      this.writeU8(200);
      this.writeU16(size2);
    } else if (size2 < 4294967296) {
      this.writeU8(201);
      this.writeU32(size2);
    } else {
      throw new Error(`Too large extension object: ${size2}`);
    }
    this.writeI8(ext.type);
    this.writeU8a(ext.data);
  }
  writeU8(value) {
    this.ensureBufferSizeToWrite(1);
    this.view.setUint8(this.pos, value);
    this.pos++;
  }
  writeU8a(values) {
    const size2 = values.length;
    this.ensureBufferSizeToWrite(size2);
    this.bytes.set(values, this.pos);
    this.pos += size2;
  }
  writeI8(value) {
    this.ensureBufferSizeToWrite(1);
    this.view.setInt8(this.pos, value);
    this.pos++;
  }
  writeU16(value) {
    this.ensureBufferSizeToWrite(2);
    this.view.setUint16(this.pos, value);
    this.pos += 2;
  }
  writeI16(value) {
    this.ensureBufferSizeToWrite(2);
    this.view.setInt16(this.pos, value);
    this.pos += 2;
  }
  writeU32(value) {
    this.ensureBufferSizeToWrite(4);
    this.view.setUint32(this.pos, value);
    this.pos += 4;
  }
  writeI32(value) {
    this.ensureBufferSizeToWrite(4);
    this.view.setInt32(this.pos, value);
    this.pos += 4;
  }
  writeF32(value) {
    this.ensureBufferSizeToWrite(4);
    this.view.setFloat32(this.pos, value);
    this.pos += 4;
  }
  writeF64(value) {
    this.ensureBufferSizeToWrite(8);
    this.view.setFloat64(this.pos, value);
    this.pos += 8;
  }
  writeU64(value) {
    this.ensureBufferSizeToWrite(8);
    setUint64(this.view, this.pos, value);
    this.pos += 8;
  }
  writeI64(value) {
    this.ensureBufferSizeToWrite(8);
    setInt64(this.view, this.pos, value);
    this.pos += 8;
  }
  writeBigUint64(value) {
    this.ensureBufferSizeToWrite(8);
    this.view.setBigUint64(this.pos, value);
    this.pos += 8;
  }
  writeBigInt64(value) {
    this.ensureBufferSizeToWrite(8);
    this.view.setBigInt64(this.pos, value);
    this.pos += 8;
  }
};

// node_modules/@msgpack/msgpack/dist.esm/encode.mjs
function encode(value, options) {
  const encoder3 = new Encoder2(options);
  return encoder3.encodeSharedRef(value);
}

// node_modules/@msgpack/msgpack/dist.esm/utils/prettyByte.mjs
function prettyByte(byte2) {
  return `${byte2 < 0 ? "-" : ""}0x${Math.abs(byte2).toString(16).padStart(2, "0")}`;
}

// node_modules/@msgpack/msgpack/dist.esm/CachedKeyDecoder.mjs
var DEFAULT_MAX_KEY_LENGTH = 16;
var DEFAULT_MAX_LENGTH_PER_KEY = 16;
var CachedKeyDecoder = class {
  hit = 0;
  miss = 0;
  caches;
  maxKeyLength;
  maxLengthPerKey;
  constructor(maxKeyLength = DEFAULT_MAX_KEY_LENGTH, maxLengthPerKey = DEFAULT_MAX_LENGTH_PER_KEY) {
    this.maxKeyLength = maxKeyLength;
    this.maxLengthPerKey = maxLengthPerKey;
    this.caches = [];
    for (let i = 0; i < this.maxKeyLength; i++) {
      this.caches.push([]);
    }
  }
  canBeCached(byteLength) {
    return byteLength > 0 && byteLength <= this.maxKeyLength;
  }
  find(bytes2, inputOffset, byteLength) {
    const records = this.caches[byteLength - 1];
    FIND_CHUNK: for (const record of records) {
      const recordBytes = record.bytes;
      for (let j = 0; j < byteLength; j++) {
        if (recordBytes[j] !== bytes2[inputOffset + j]) {
          continue FIND_CHUNK;
        }
      }
      return record.str;
    }
    return null;
  }
  store(bytes2, value) {
    const records = this.caches[bytes2.length - 1];
    const record = { bytes: bytes2, str: value };
    if (records.length >= this.maxLengthPerKey) {
      records[Math.random() * records.length | 0] = record;
    } else {
      records.push(record);
    }
  }
  decode(bytes2, inputOffset, byteLength) {
    const cachedValue = this.find(bytes2, inputOffset, byteLength);
    if (cachedValue != null) {
      this.hit++;
      return cachedValue;
    }
    this.miss++;
    const str = utf8DecodeJs(bytes2, inputOffset, byteLength);
    const slicedCopyOfBytes = Uint8Array.prototype.slice.call(bytes2, inputOffset, inputOffset + byteLength);
    this.store(slicedCopyOfBytes, str);
    return str;
  }
};

// node_modules/@msgpack/msgpack/dist.esm/Decoder.mjs
var STATE_ARRAY = "array";
var STATE_MAP_KEY = "map_key";
var STATE_MAP_VALUE = "map_value";
var mapKeyConverter = (key) => {
  if (typeof key === "string" || typeof key === "number") {
    return key;
  }
  throw new DecodeError("The type of key must be string or number but " + typeof key);
};
var StackPool = class {
  stack = [];
  stackHeadPosition = -1;
  get length() {
    return this.stackHeadPosition + 1;
  }
  top() {
    return this.stack[this.stackHeadPosition];
  }
  pushArrayState(size2) {
    const state = this.getUninitializedStateFromPool();
    state.type = STATE_ARRAY;
    state.position = 0;
    state.size = size2;
    state.array = new Array(size2);
  }
  pushMapState(size2) {
    const state = this.getUninitializedStateFromPool();
    state.type = STATE_MAP_KEY;
    state.readCount = 0;
    state.size = size2;
    state.map = {};
  }
  getUninitializedStateFromPool() {
    this.stackHeadPosition++;
    if (this.stackHeadPosition === this.stack.length) {
      const partialState = {
        type: void 0,
        size: 0,
        array: void 0,
        position: 0,
        readCount: 0,
        map: void 0,
        key: null
      };
      this.stack.push(partialState);
    }
    return this.stack[this.stackHeadPosition];
  }
  release(state) {
    const topStackState = this.stack[this.stackHeadPosition];
    if (topStackState !== state) {
      throw new Error("Invalid stack state. Released state is not on top of the stack.");
    }
    if (state.type === STATE_ARRAY) {
      const partialState = state;
      partialState.size = 0;
      partialState.array = void 0;
      partialState.position = 0;
      partialState.type = void 0;
    }
    if (state.type === STATE_MAP_KEY || state.type === STATE_MAP_VALUE) {
      const partialState = state;
      partialState.size = 0;
      partialState.map = void 0;
      partialState.readCount = 0;
      partialState.type = void 0;
    }
    this.stackHeadPosition--;
  }
  reset() {
    this.stack.length = 0;
    this.stackHeadPosition = -1;
  }
};
var HEAD_BYTE_REQUIRED = -1;
var EMPTY_VIEW = new DataView(new ArrayBuffer(0));
var EMPTY_BYTES = new Uint8Array(EMPTY_VIEW.buffer);
try {
  EMPTY_VIEW.getInt8(0);
} catch (e) {
  if (!(e instanceof RangeError)) {
    throw new Error("This module is not supported in the current JavaScript engine because DataView does not throw RangeError on out-of-bounds access");
  }
}
var MORE_DATA = new RangeError("Insufficient data");
var sharedCachedKeyDecoder = new CachedKeyDecoder();
var Decoder2 = class _Decoder {
  extensionCodec;
  context;
  useBigInt64;
  rawStrings;
  maxStrLength;
  maxBinLength;
  maxArrayLength;
  maxMapLength;
  maxExtLength;
  keyDecoder;
  mapKeyConverter;
  totalPos = 0;
  pos = 0;
  view = EMPTY_VIEW;
  bytes = EMPTY_BYTES;
  headByte = HEAD_BYTE_REQUIRED;
  stack = new StackPool();
  entered = false;
  constructor(options) {
    this.extensionCodec = options?.extensionCodec ?? ExtensionCodec.defaultCodec;
    this.context = options?.context;
    this.useBigInt64 = options?.useBigInt64 ?? false;
    this.rawStrings = options?.rawStrings ?? false;
    this.maxStrLength = options?.maxStrLength ?? UINT32_MAX;
    this.maxBinLength = options?.maxBinLength ?? UINT32_MAX;
    this.maxArrayLength = options?.maxArrayLength ?? UINT32_MAX;
    this.maxMapLength = options?.maxMapLength ?? UINT32_MAX;
    this.maxExtLength = options?.maxExtLength ?? UINT32_MAX;
    this.keyDecoder = options?.keyDecoder !== void 0 ? options.keyDecoder : sharedCachedKeyDecoder;
    this.mapKeyConverter = options?.mapKeyConverter ?? mapKeyConverter;
  }
  clone() {
    return new _Decoder({
      extensionCodec: this.extensionCodec,
      context: this.context,
      useBigInt64: this.useBigInt64,
      rawStrings: this.rawStrings,
      maxStrLength: this.maxStrLength,
      maxBinLength: this.maxBinLength,
      maxArrayLength: this.maxArrayLength,
      maxMapLength: this.maxMapLength,
      maxExtLength: this.maxExtLength,
      keyDecoder: this.keyDecoder
    });
  }
  reinitializeState() {
    this.totalPos = 0;
    this.headByte = HEAD_BYTE_REQUIRED;
    this.stack.reset();
  }
  setBuffer(buffer) {
    const bytes2 = ensureUint8Array(buffer);
    this.bytes = bytes2;
    this.view = new DataView(bytes2.buffer, bytes2.byteOffset, bytes2.byteLength);
    this.pos = 0;
  }
  appendBuffer(buffer) {
    if (this.headByte === HEAD_BYTE_REQUIRED && !this.hasRemaining(1)) {
      this.setBuffer(buffer);
    } else {
      const remainingData = this.bytes.subarray(this.pos);
      const newData = ensureUint8Array(buffer);
      const newBuffer = new Uint8Array(remainingData.length + newData.length);
      newBuffer.set(remainingData);
      newBuffer.set(newData, remainingData.length);
      this.setBuffer(newBuffer);
    }
  }
  hasRemaining(size2) {
    return this.view.byteLength - this.pos >= size2;
  }
  createExtraByteError(posToShow) {
    const { view: view2, pos } = this;
    return new RangeError(`Extra ${view2.byteLength - pos} of ${view2.byteLength} byte(s) found at buffer[${posToShow}]`);
  }
  /**
   * @throws {@link DecodeError}
   * @throws {@link RangeError}
   */
  decode(buffer) {
    if (this.entered) {
      const instance = this.clone();
      return instance.decode(buffer);
    }
    try {
      this.entered = true;
      this.reinitializeState();
      this.setBuffer(buffer);
      const object = this.doDecodeSync();
      if (this.hasRemaining(1)) {
        throw this.createExtraByteError(this.pos);
      }
      return object;
    } finally {
      this.entered = false;
    }
  }
  *decodeMulti(buffer) {
    if (this.entered) {
      const instance = this.clone();
      yield* instance.decodeMulti(buffer);
      return;
    }
    try {
      this.entered = true;
      this.reinitializeState();
      this.setBuffer(buffer);
      while (this.hasRemaining(1)) {
        yield this.doDecodeSync();
      }
    } finally {
      this.entered = false;
    }
  }
  async decodeAsync(stream) {
    if (this.entered) {
      const instance = this.clone();
      return instance.decodeAsync(stream);
    }
    try {
      this.entered = true;
      let decoded = false;
      let object;
      for await (const buffer of stream) {
        if (decoded) {
          this.entered = false;
          throw this.createExtraByteError(this.totalPos);
        }
        this.appendBuffer(buffer);
        try {
          object = this.doDecodeSync();
          decoded = true;
        } catch (e) {
          if (!(e instanceof RangeError)) {
            throw e;
          }
        }
        this.totalPos += this.pos;
      }
      if (decoded) {
        if (this.hasRemaining(1)) {
          throw this.createExtraByteError(this.totalPos);
        }
        return object;
      }
      const { headByte, pos, totalPos } = this;
      throw new RangeError(`Insufficient data in parsing ${prettyByte(headByte)} at ${totalPos} (${pos} in the current buffer)`);
    } finally {
      this.entered = false;
    }
  }
  decodeArrayStream(stream) {
    return this.decodeMultiAsync(stream, true);
  }
  decodeStream(stream) {
    return this.decodeMultiAsync(stream, false);
  }
  async *decodeMultiAsync(stream, isArray2) {
    if (this.entered) {
      const instance = this.clone();
      yield* instance.decodeMultiAsync(stream, isArray2);
      return;
    }
    try {
      this.entered = true;
      let isArrayHeaderRequired = isArray2;
      let arrayItemsLeft = -1;
      for await (const buffer of stream) {
        if (isArray2 && arrayItemsLeft === 0) {
          throw this.createExtraByteError(this.totalPos);
        }
        this.appendBuffer(buffer);
        if (isArrayHeaderRequired) {
          arrayItemsLeft = this.readArraySize();
          isArrayHeaderRequired = false;
          this.complete();
        }
        try {
          while (true) {
            yield this.doDecodeSync();
            if (--arrayItemsLeft === 0) {
              break;
            }
          }
        } catch (e) {
          if (!(e instanceof RangeError)) {
            throw e;
          }
        }
        this.totalPos += this.pos;
      }
    } finally {
      this.entered = false;
    }
  }
  doDecodeSync() {
    DECODE: while (true) {
      const headByte = this.readHeadByte();
      let object;
      if (headByte >= 224) {
        object = headByte - 256;
      } else if (headByte < 192) {
        if (headByte < 128) {
          object = headByte;
        } else if (headByte < 144) {
          const size2 = headByte - 128;
          if (size2 !== 0) {
            this.pushMapState(size2);
            this.complete();
            continue DECODE;
          } else {
            object = {};
          }
        } else if (headByte < 160) {
          const size2 = headByte - 144;
          if (size2 !== 0) {
            this.pushArrayState(size2);
            this.complete();
            continue DECODE;
          } else {
            object = [];
          }
        } else {
          const byteLength = headByte - 160;
          object = this.decodeString(byteLength, 0);
        }
      } else if (headByte === 192) {
        object = null;
      } else if (headByte === 194) {
        object = false;
      } else if (headByte === 195) {
        object = true;
      } else if (headByte === 202) {
        object = this.readF32();
      } else if (headByte === 203) {
        object = this.readF64();
      } else if (headByte === 204) {
        object = this.readU8();
      } else if (headByte === 205) {
        object = this.readU16();
      } else if (headByte === 206) {
        object = this.readU32();
      } else if (headByte === 207) {
        if (this.useBigInt64) {
          object = this.readU64AsBigInt();
        } else {
          object = this.readU64();
        }
      } else if (headByte === 208) {
        object = this.readI8();
      } else if (headByte === 209) {
        object = this.readI16();
      } else if (headByte === 210) {
        object = this.readI32();
      } else if (headByte === 211) {
        if (this.useBigInt64) {
          object = this.readI64AsBigInt();
        } else {
          object = this.readI64();
        }
      } else if (headByte === 217) {
        const byteLength = this.lookU8();
        object = this.decodeString(byteLength, 1);
      } else if (headByte === 218) {
        const byteLength = this.lookU16();
        object = this.decodeString(byteLength, 2);
      } else if (headByte === 219) {
        const byteLength = this.lookU32();
        object = this.decodeString(byteLength, 4);
      } else if (headByte === 220) {
        const size2 = this.readU16();
        if (size2 !== 0) {
          this.pushArrayState(size2);
          this.complete();
          continue DECODE;
        } else {
          object = [];
        }
      } else if (headByte === 221) {
        const size2 = this.readU32();
        if (size2 !== 0) {
          this.pushArrayState(size2);
          this.complete();
          continue DECODE;
        } else {
          object = [];
        }
      } else if (headByte === 222) {
        const size2 = this.readU16();
        if (size2 !== 0) {
          this.pushMapState(size2);
          this.complete();
          continue DECODE;
        } else {
          object = {};
        }
      } else if (headByte === 223) {
        const size2 = this.readU32();
        if (size2 !== 0) {
          this.pushMapState(size2);
          this.complete();
          continue DECODE;
        } else {
          object = {};
        }
      } else if (headByte === 196) {
        const size2 = this.lookU8();
        object = this.decodeBinary(size2, 1);
      } else if (headByte === 197) {
        const size2 = this.lookU16();
        object = this.decodeBinary(size2, 2);
      } else if (headByte === 198) {
        const size2 = this.lookU32();
        object = this.decodeBinary(size2, 4);
      } else if (headByte === 212) {
        object = this.decodeExtension(1, 0);
      } else if (headByte === 213) {
        object = this.decodeExtension(2, 0);
      } else if (headByte === 214) {
        object = this.decodeExtension(4, 0);
      } else if (headByte === 215) {
        object = this.decodeExtension(8, 0);
      } else if (headByte === 216) {
        object = this.decodeExtension(16, 0);
      } else if (headByte === 199) {
        const size2 = this.lookU8();
        object = this.decodeExtension(size2, 1);
      } else if (headByte === 200) {
        const size2 = this.lookU16();
        object = this.decodeExtension(size2, 2);
      } else if (headByte === 201) {
        const size2 = this.lookU32();
        object = this.decodeExtension(size2, 4);
      } else {
        throw new DecodeError(`Unrecognized type byte: ${prettyByte(headByte)}`);
      }
      this.complete();
      const stack = this.stack;
      while (stack.length > 0) {
        const state = stack.top();
        if (state.type === STATE_ARRAY) {
          state.array[state.position] = object;
          state.position++;
          if (state.position === state.size) {
            object = state.array;
            stack.release(state);
          } else {
            continue DECODE;
          }
        } else if (state.type === STATE_MAP_KEY) {
          if (object === "__proto__") {
            throw new DecodeError("The key __proto__ is not allowed");
          }
          state.key = this.mapKeyConverter(object);
          state.type = STATE_MAP_VALUE;
          continue DECODE;
        } else {
          state.map[state.key] = object;
          state.readCount++;
          if (state.readCount === state.size) {
            object = state.map;
            stack.release(state);
          } else {
            state.key = null;
            state.type = STATE_MAP_KEY;
            continue DECODE;
          }
        }
      }
      return object;
    }
  }
  readHeadByte() {
    if (this.headByte === HEAD_BYTE_REQUIRED) {
      this.headByte = this.readU8();
    }
    return this.headByte;
  }
  complete() {
    this.headByte = HEAD_BYTE_REQUIRED;
  }
  readArraySize() {
    const headByte = this.readHeadByte();
    switch (headByte) {
      case 220:
        return this.readU16();
      case 221:
        return this.readU32();
      default: {
        if (headByte < 160) {
          return headByte - 144;
        } else {
          throw new DecodeError(`Unrecognized array type byte: ${prettyByte(headByte)}`);
        }
      }
    }
  }
  pushMapState(size2) {
    if (size2 > this.maxMapLength) {
      throw new DecodeError(`Max length exceeded: map length (${size2}) > maxMapLengthLength (${this.maxMapLength})`);
    }
    this.stack.pushMapState(size2);
  }
  pushArrayState(size2) {
    if (size2 > this.maxArrayLength) {
      throw new DecodeError(`Max length exceeded: array length (${size2}) > maxArrayLength (${this.maxArrayLength})`);
    }
    this.stack.pushArrayState(size2);
  }
  decodeString(byteLength, headerOffset) {
    if (!this.rawStrings || this.stateIsMapKey()) {
      return this.decodeUtf8String(byteLength, headerOffset);
    }
    return this.decodeBinary(byteLength, headerOffset);
  }
  /**
   * @throws {@link RangeError}
   */
  decodeUtf8String(byteLength, headerOffset) {
    if (byteLength > this.maxStrLength) {
      throw new DecodeError(`Max length exceeded: UTF-8 byte length (${byteLength}) > maxStrLength (${this.maxStrLength})`);
    }
    if (this.bytes.byteLength < this.pos + headerOffset + byteLength) {
      throw MORE_DATA;
    }
    const offset = this.pos + headerOffset;
    let object;
    if (this.stateIsMapKey() && this.keyDecoder?.canBeCached(byteLength)) {
      object = this.keyDecoder.decode(this.bytes, offset, byteLength);
    } else {
      object = utf8Decode(this.bytes, offset, byteLength);
    }
    this.pos += headerOffset + byteLength;
    return object;
  }
  stateIsMapKey() {
    if (this.stack.length > 0) {
      const state = this.stack.top();
      return state.type === STATE_MAP_KEY;
    }
    return false;
  }
  /**
   * @throws {@link RangeError}
   */
  decodeBinary(byteLength, headOffset) {
    if (byteLength > this.maxBinLength) {
      throw new DecodeError(`Max length exceeded: bin length (${byteLength}) > maxBinLength (${this.maxBinLength})`);
    }
    if (!this.hasRemaining(byteLength + headOffset)) {
      throw MORE_DATA;
    }
    const offset = this.pos + headOffset;
    const object = this.bytes.subarray(offset, offset + byteLength);
    this.pos += headOffset + byteLength;
    return object;
  }
  decodeExtension(size2, headOffset) {
    if (size2 > this.maxExtLength) {
      throw new DecodeError(`Max length exceeded: ext length (${size2}) > maxExtLength (${this.maxExtLength})`);
    }
    const extType = this.view.getInt8(this.pos + headOffset);
    const data = this.decodeBinary(
      size2,
      headOffset + 1
      /* extType */
    );
    return this.extensionCodec.decode(data, extType, this.context);
  }
  lookU8() {
    return this.view.getUint8(this.pos);
  }
  lookU16() {
    return this.view.getUint16(this.pos);
  }
  lookU32() {
    return this.view.getUint32(this.pos);
  }
  readU8() {
    const value = this.view.getUint8(this.pos);
    this.pos++;
    return value;
  }
  readI8() {
    const value = this.view.getInt8(this.pos);
    this.pos++;
    return value;
  }
  readU16() {
    const value = this.view.getUint16(this.pos);
    this.pos += 2;
    return value;
  }
  readI16() {
    const value = this.view.getInt16(this.pos);
    this.pos += 2;
    return value;
  }
  readU32() {
    const value = this.view.getUint32(this.pos);
    this.pos += 4;
    return value;
  }
  readI32() {
    const value = this.view.getInt32(this.pos);
    this.pos += 4;
    return value;
  }
  readU64() {
    const value = getUint64(this.view, this.pos);
    this.pos += 8;
    return value;
  }
  readI64() {
    const value = getInt64(this.view, this.pos);
    this.pos += 8;
    return value;
  }
  readU64AsBigInt() {
    const value = this.view.getBigUint64(this.pos);
    this.pos += 8;
    return value;
  }
  readI64AsBigInt() {
    const value = this.view.getBigInt64(this.pos);
    this.pos += 8;
    return value;
  }
  readF32() {
    const value = this.view.getFloat32(this.pos);
    this.pos += 4;
    return value;
  }
  readF64() {
    const value = this.view.getFloat64(this.pos);
    this.pos += 8;
    return value;
  }
};

// src/msgpack.js
var MAX_DEPTH = 500;
var decoder = new Decoder2({ useBigInt64: true, mapKeyConverter: (key) => named(key) });
var named = (key) => {
  const name = String(key);
  if (name === "__proto__") throw new RangeError("a key that names the prototype");
  return name;
};
var utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
var decode = (bytes2) => narrowed(decoder.decode(bytes2));
var narrowed = (value) => {
  if (typeof value === "bigint") {
    const number2 = Number(value);
    return Number.isSafeInteger(number2) ? number2 : value;
  }
  if (value instanceof Uint8Array) return value.slice();
  if (Array.isArray(value)) return value.map(narrowed);
  if (isObject2(value)) {
    for (const key of Object.keys(value)) value[key] = narrowed(value[key]);
  }
  return value;
};
var isObject2 = (value) => typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
var sized = (type, width, extra = 0) => (bytes2, at2) => {
  if (at2 + width > bytes2.length) throw new RangeError("the data ends early");
  let length2 = 0;
  for (let index = at2; index < at2 + width; index++) length2 = length2 * 256 + bytes2[index];
  return { type, size: 1 + width, count: length2 + extra };
};
var fixed = (type, count) => {
  const head = { type, size: 1, count };
  return () => head;
};
var HEADS = [
  fixed("other", 0),
  null,
  fixed("other", 0),
  fixed("other", 0),
  sized("bin", 1),
  sized("bin", 2),
  sized("bin", 4),
  sized("other", 1, 1),
  sized("other", 2, 1),
  sized("other", 4, 1),
  fixed("float", 4),
  fixed("float", 8),
  fixed("int", 1),
  fixed("int", 2),
  fixed("int", 4),
  fixed("int", 8),
  fixed("int", 1),
  fixed("int", 2),
  fixed("int", 4),
  fixed("int", 8),
  fixed("other", 2),
  fixed("other", 3),
  fixed("other", 5),
  fixed("other", 9),
  fixed("other", 17),
  sized("str", 1),
  sized("str", 2),
  sized("str", 4),
  sized("array", 2),
  sized("array", 4),
  sized("map", 2),
  sized("map", 4)
];
var FIXINT = { type: "int", size: 1, count: 0 };
var headAt = (bytes2, at2) => {
  if (at2 >= bytes2.length) throw new RangeError("the data ends early");
  const first = bytes2[at2];
  if (first < 128 || first >= 224) return FIXINT;
  if (first < 144) return { type: "map", size: 1, count: first & 15 };
  if (first < 160) return { type: "array", size: 1, count: first & 15 };
  if (first < 192) return { type: "str", size: 1, count: first & 31 };
  const read2 = HEADS[first - 192];
  if (read2 === null) throw new RangeError("a byte that MessagePack never uses");
  return read2(bytes2, at2 + 1);
};
var endOf = (bytes2, at2, depth) => {
  if (depth > MAX_DEPTH) throw new RangeError("nested too deep");
  const { type, size: size2, count } = headAt(bytes2, at2);
  let end = at2 + size2;
  if (type === "array" || type === "map") {
    for (let left = type === "map" ? 2 * count : count; left > 0; left--) end = endOf(bytes2, end, depth + 1);
    return end;
  }
  end += count;
  if (end > bytes2.length) throw new RangeError("the data ends early");
  if (type === "str") checkText(bytes2, at2 + size2, end);
  return end;
};
var checkText = (bytes2, start, end) => {
  for (let at2 = start; at2 < end; at2++) {
    if (bytes2[at2] > 127) {
      utf8.decode(bytes2.subarray(start, end));
      return;
    }
  }
};
var depthOf = (bytes2) => depthAt(bytes2, 0)[0];
var depthAt = (bytes2, at2) => {
  const { type, size: size2, count } = headAt(bytes2, at2);
  if (type !== "array" && type !== "map") return [0, at2 + size2 + count];
  let [deepest, end] = [0, at2 + size2];
  for (let left = type === "map" ? 2 * count : count; left > 0; left--) {
    const [depth, next] = depthAt(bytes2, end);
    deepest = Math.max(deepest, depth);
    end = next;
  }
  return [deepest + 1, end];
};
var items = (bytes2) => {
  const { type, size: size2, count } = headAt(bytes2, 0);
  if (type !== "array") throw new TypeError("not an array");
  const found = [];
  let at2 = size2;
  for (let left = count; left > 0; left--) {
    const end = endOf(bytes2, at2, 0);
    found.push(bytes2.subarray(at2, end));
    at2 = end;
  }
  if (at2 !== bytes2.length) throw new RangeError("bytes left over after the array");
  return found;
};
var isInteger2 = (bytes2) => headAt(bytes2, 0).type === "int";
var canonical = (bytes2) => canonicalAt(bytes2, 0)[0];
var canonicalAt = (bytes2, at2) => {
  const { type, size: size2, count } = headAt(bytes2, at2);
  if (type === "array") return arrayAt(bytes2, at2 + size2, count);
  if (type === "map") return mapAt(bytes2, at2 + size2, count);
  const end = at2 + size2 + count;
  return [scalar(type, bytes2, at2, at2 + size2, end), end];
};
var arrayAt = (bytes2, at2, count) => {
  let [form, end] = [countedHead(count, 144, 220), at2];
  for (let left = count; left > 0; left--) {
    const [item, next] = canonicalAt(bytes2, end);
    form += item;
    end = next;
  }
  return [form, end];
};
var mapAt = (bytes2, at2, count) => {
  const pairs = /* @__PURE__ */ new Map();
  let end = at2;
  for (let left = count; left > 0; left--) {
    const [key, middle] = canonicalAt(bytes2, end);
    const [value, next] = canonicalAt(bytes2, middle);
    pairs.set(key, value);
    end = next;
  }
  const sorted = [...pairs.keys()].sort().map((key) => key + pairs.get(key));
  return [countedHead(sorted.length, 128, 222) + sorted.join(""), end];
};
var scalar = (type, bytes2, start, body, end) => {
  if (type === "str") return textHead(end - body) + latin1(bytes2, body, end);
  if (type === "int")
    return start + 1 === end ? latin1(bytes2, start, end) : shortest(bytes2.subarray(start, end));
  if (type === "float" && bytes2[start] === 202) return wide(decode(bytes2.subarray(start, end)));
  if (type === "bin") return sizedHead(end - body, 196, 197, 198) + latin1(bytes2, body, end);
  return latin1(bytes2, start, end);
};
var shortest = (integer) => {
  const encoded = encode(decode(integer), { useBigInt64: typeof decode(integer) === "bigint" });
  return latin1(encoded, 0, encoded.length);
};
var wide = (float) => {
  const encoded = new Uint8Array(9);
  encoded[0] = 203;
  new DataView(encoded.buffer).setFloat64(1, Number(float));
  return latin1(encoded, 0, 9);
};
var textHead = (length2) => length2 < 32 ? String.fromCharCode(160 | length2) : sizedHead(length2, 217, 218, 219);
var countedHead = (length2, short, two) => length2 < 16 ? String.fromCharCode(short | length2) : sizedHead(length2, null, two, two + 1);
var sizedHead = (length2, one, two, four) => {
  const octets = [length2 >>> 24, length2 >>> 16 & 255, length2 >>> 8 & 255, length2 & 255];
  if (one !== null && length2 < 256) return String.fromCharCode(one, octets[3]);
  if (length2 < 65536) return String.fromCharCode(two, octets[2], octets[3]);
  return String.fromCharCode(four, ...octets);
};
var CHUNK = 8192;
var latin1 = (bytes2, start, end) => {
  let text3 = "";
  for (let at2 = start; at2 < end; at2 += CHUNK) {
    text3 += String.fromCharCode.apply(
      null,
      /** @type {any} */
      bytes2.subarray(at2, Math.min(end, at2 + CHUNK))
    );
  }
  return text3;
};

// src/wire.js
var SUBPROTOCOL = "comity.v1";
var SYNC = 0;
var AWARENESS = 1;
var AUTH = 2;
var QUERY_AWARENESS = 3;
var COMITY = 100;
var KINDS = (
  /** @type {const} */
  ["welcome", "ack", "reject", "notice", "token"]
);
var CHECKS = {
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: (value) => Number.isSafeInteger(value),
  "number or null": (value) => value === null || typeof value === "number",
  "list of strings": (value) => Array.isArray(value) && value.every((item) => typeof item === "string"),
  map: isObject2
};
var FIELDS = {
  welcome: {
    lineage: "string",
    principal: "string",
    access: "list of strings",
    limits: "map",
    server: "string",
    erased: "list of strings",
    redactions: "integer"
  },
  ack: { n: "integer" },
  reject: { n: "integer", code: "integer", reason: "string", retry_after: "number or null" },
  notice: { code: "integer", text: "string", retry_after: "number or null", at: "number or null" },
  token: { token: "string" }
};
var USUAL = { retry_after: null, at: null, erased: [], redactions: 0 };
var readControl = (decoder2) => {
  const kind = KINDS[readVarUint(decoder2)];
  const fields = decode(readTailAsUint8Array(decoder2));
  return kind === void 0 ? null : checked(kind, fields);
};
var checked = (kind, fields) => {
  if (!isObject2(fields)) throw new Error(`a ${kind} frame that is not a map`);
  const frame = { kind };
  for (const [name, check] of Object.entries(FIELDS[kind])) {
    const value = fields[name] ?? USUAL[name];
    if (!CHECKS[check](value)) throw new Error(`field ${name} of a ${kind} frame is not a ${check}`);
    frame[name] = value;
  }
  return (
    /** @type {Control} */
    /** @type {unknown} */
    frame
  );
};

// src/link.js
var FIRST_PAUSE_MS = 200;
var LONGEST_PAUSE_MS = 1e4;
var LONGEST_REQUEST_MS = 36e5;
var PROBE_AFTER_MS = 3e4;
var ANSWER_WITHIN_MS = 5e3;
var SYNC_WITHIN_MS = 6e4;
var WATCH_EVERY_MS = 1e3;
var OPEN = 1;
var Link = class {
  /**
   * @param {string} url
   * @param {Hooks} hooks
   * @param {LinkOptions} [options]
   * @throws {ConnectionFailedError} if there is no WebSocket
   */
  constructor(url, hooks, options = {}) {
    this.url = url;
    this.hooks = hooks;
    this.WebSocket = options.WebSocket ?? globalThis.WebSocket;
    if (this.WebSocket === void 0) throw noWebSocket(url);
    this.firstPause = options.firstPause ?? FIRST_PAUSE_MS;
    this.longestPause = options.longestPause ?? LONGEST_PAUSE_MS;
    this.answerWithin = options.answerWithin ?? ANSWER_WITHIN_MS;
    this.protocols = options.stock === true ? [] : [SUBPROTOCOL];
    this.socket = null;
    this.isStarted = false;
    this.isLive = false;
    this.refusal = null;
    this.attempts = 0;
    this.notBefore = 0;
    this.heardAt = 0;
    this.askedAt = null;
    this.timer = void 0;
    this.wake = this.wake.bind(this);
    this.probe = this.probe.bind(this);
    globalThis.addEventListener?.("online", this.wake);
    globalThis.addEventListener?.("offline", this.probe);
    this.watch = setInterval(() => this.tick(), Math.min(WATCH_EVERY_MS, this.answerWithin));
  }
  /** How many bytes the socket has not sent yet. */
  get unsent() {
    return this.socket?.bufferedAmount ?? 0;
  }
  /** Open a socket, and another whenever it breaks. */
  start() {
    if (this.isStarted || this.refusal !== null) return;
    this.isStarted = true;
    const asked = this.askedPause();
    if (asked > 0) this.timer = setTimeout(() => this.open(), asked);
    else this.open();
  }
  /** Close the socket, and open no other. */
  stop() {
    this.isStarted = false;
    this.hangUp();
  }
  /** Stop for good. */
  destroy() {
    this.stop();
    clearInterval(this.watch);
    globalThis.removeEventListener?.("online", this.wake);
    globalThis.removeEventListener?.("offline", this.probe);
  }
  /** Try again now, whatever the pause: the network is back. A live connection is asked whether it still is. */
  wake() {
    if (this.isLive) this.probe();
    else if (this.isStarted && this.askedPause() === 0) {
      this.hangUp();
      this.open();
    }
  }
  /** Ask the server for a sign of life, unless one is due already. */
  probe() {
    if (this.askedAt !== null || !this.isLive) return;
    this.askedAt = Date.now();
    this.hooks.ask();
  }
  /** Note that the first synchronisation is done. */
  settled() {
    this.attempts = 0;
    this.isLive = true;
  }
  /**
   * Once this connection is gone, stay away for a while: the server asked for that.
   *
   * @param {number} seconds
   */
  postpone(seconds) {
    if (seconds > 0) this.notBefore = Date.now() + Math.min(seconds * 1e3, LONGEST_REQUEST_MS);
  }
  /** How many milliseconds are left of what the server asked for. */
  askedPause() {
    return Math.max(0, this.notBefore - Date.now());
  }
  /** @param {Uint8Array} bytes */
  send(bytes2) {
    if (this.socket?.readyState !== OPEN) return;
    this.socket.send(
      /** @type {Uint8Array<ArrayBuffer>} */
      bytes2
    );
  }
  open() {
    clearTimeout(this.timer);
    const socket = new this.WebSocket(this.url, this.protocols);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.heardAt = this.askedAt = Date.now();
    socket.onopen = () => {
      this.heard();
      this.hooks.opened(socket.protocol === SUBPROTOCOL);
    };
    socket.onmessage = ({ data }) => {
      this.heard();
      this.hooks.received(new Uint8Array(data));
    };
    socket.onclose = ({ code, reason }) => this.onClose(code, reason);
    socket.onerror = () => {
    };
  }
  heard() {
    this.heardAt = Date.now();
    this.askedAt = null;
  }
  tick() {
    this.hooks.ticked();
    if (this.socket === null) return;
    const now = Date.now();
    const patience = this.isLive ? this.answerWithin : SYNC_WITHIN_MS;
    if (this.askedAt !== null && now - this.askedAt > patience) this.comeBack();
    else if (now - this.heardAt > PROBE_AFTER_MS) this.probe();
  }
  /**
   * @param {number} code
   * @param {string} reason
   */
  onClose(code, reason) {
    if (isPermanent(code)) this.refuse({ code, reason });
    else this.comeBack();
  }
  /**
   * Give up for good.
   *
   * @param {Refusal} refusal
   */
  refuse(refusal) {
    this.refusal = refusal;
    this.stop();
    this.hooks.refused(refusal);
  }
  /** Leave the socket for another, after a pause. */
  comeBack() {
    this.hangUp();
    if (!this.isStarted) return;
    const pause = Math.min(this.longestPause, this.firstPause * 2 ** this.attempts++);
    this.timer = setTimeout(() => this.open(), this.askedPause() + pause * (0.5 + Math.random() / 2));
  }
  hangUp() {
    clearTimeout(this.timer);
    const { socket } = this;
    this.socket = null;
    this.isLive = false;
    if (socket !== null) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    this.hooks.closed();
  }
};
var noWebSocket = (url) => new ConnectionFailedError("this platform has no WebSocket", {
  subject: url,
  remedy: "pass that of the package ws: import { WebSocket } from 'ws'"
});

// src/merge.js
var AT_ONCE = 16;
var merged = (updates) => {
  let all2 = updates;
  while (all2.length > 1) {
    const fewer = [];
    for (let at2 = 0; at2 < all2.length; at2 += AT_ONCE) {
      const some2 = all2.slice(at2, at2 + AT_ONCE);
      fewer.push(some2.length === 1 ? some2[0] : mergeUpdates(some2));
    }
    all2 = fewer;
  }
  return all2[0];
};

// src/uplink.js
var MAX_UNSENT = 8 * 1024 * 1024;
var MAX_MERGED = 1024 * 1024;
var Uplink = class {
  /** @param {Line} line */
  constructor(line) {
    this.line = line;
    this.number = 0;
    this.acknowledged = 0;
    this.refused = 0;
    this.doc = new Doc();
    this.onUpdate = this.onUpdate.bind(this);
    this.vector = null;
    this.limit = Infinity;
    this.mayWrite = true;
    this.acknowledges = false;
    this.frames = 0;
    this.flights = [];
    this.turn = [];
    this.isScheduled = false;
    this.heldSince = null;
    this.isBlocked = false;
  }
  /** How many local updates are not acknowledged. */
  get pending() {
    return this.number - this.acknowledged;
  }
  /** Whether some of them were not refused either. */
  get owes() {
    return this.number > Math.max(this.acknowledged, this.refused);
  }
  /**
   * Follow a document, in place of the one before.
   *
   * @param {Y.Doc} doc
   */
  follow(doc2) {
    this.doc.off("update", this.onUpdate);
    this.doc = doc2;
    doc2.on("update", this.onUpdate);
  }
  /**
   * Count updates of earlier sessions that are in the document and not acknowledged.
   *
   * @param {number} count
   */
  inherit(count) {
    this.number += count;
  }
  /** Give up everything that is not acknowledged. */
  giveUp() {
    this.acknowledged = this.number;
    this.flights = [];
    this.turn = [];
    this.heldSince = null;
  }
  /** Forget a connection, and what was on its way. */
  reset() {
    this.vector = null;
    this.limit = Infinity;
    this.mayWrite = true;
    this.acknowledges = this.isBlocked = false;
    this.frames = 0;
    this.flights = [];
    this.turn = [];
    this.heldSince = null;
  }
  /**
   * Take note of what the server allows.
   *
   * @param {{ access: string[], limits: Record<string, number> }} welcome
   */
  welcomed({ access, limits }) {
    this.acknowledges = true;
    this.mayWrite = access.includes("write");
    this.limit = limits.message ?? Infinity;
    if (!this.mayWrite && this.owes) this.refuseAll();
  }
  /**
   * Send what the server lacks, and from then on what is edited.
   *
   * @param {Uint8Array} vector the state vector of what it has
   * @throws {TooLargeError} if that is larger than it takes
   */
  answer(vector) {
    this.vector = vector;
    if (this.isBlocked) {
      this.reportFirst(this.flights.find((flight) => flight.error !== void 0));
      return;
    }
    const update = encodeStateAsUpdate(this.doc, vector);
    const frame = framed(messageYjsSyncStep2, update);
    if (frame.length > this.limit) throw this.tooLarge(frame.length);
    this.turn = [];
    this.heldSince = null;
    this.dispatch(frame, update, this.number);
  }
  /**
   * @param {Uint8Array} update
   * @param {unknown} origin
   * @param {Y.Doc} _doc
   * @param {Y.Transaction} transaction
   */
  onUpdate(update, origin, _doc, transaction) {
    if (!this.line.isLocal(origin)) return;
    this.number++;
    if (this.mayWrite && (this.vector === null || this.isBlocked)) return;
    if (this.heldSince === null && this.line.unsent() > MAX_UNSENT) this.heldSince = transaction.beforeState;
    this.turn.push(update);
    if (this.isScheduled) return;
    this.isScheduled = true;
    queueMicrotask(() => {
      this.isScheduled = false;
      this.flush();
    });
  }
  /** Send the edits of this turn, unless the socket has no room for them. */
  flush() {
    if (!this.mayWrite && this.owes) {
      this.refuseAll();
      return;
    }
    if (this.vector === null || this.isBlocked) return;
    if (this.heldSince !== null) this.flushHeld();
    else this.sendAll(this.turn.splice(0));
  }
  flushHeld() {
    this.turn = [];
    if (this.heldSince === null || this.line.unsent() > MAX_UNSENT) return;
    const update = encodeStateAsUpdate(this.doc, encodeStateVector(this.heldSince));
    this.heldSince = null;
    this.send(update, this.number);
  }
  /**
   * Send updates, the last of which is the last local one, in as few frames as their size allows.
   *
   * @param {Uint8Array[]} updates
   */
  sendAll(updates) {
    let number2 = this.number - updates.length;
    while (updates.length > 0 && !this.isBlocked) {
      const some2 = updates.splice(0, headOf(updates));
      number2 += some2.length;
      this.send(merged(some2), number2);
    }
  }
  /**
   * @param {Uint8Array} update
   * @param {number} number
   */
  send(update, number2) {
    const frame = framed(messageYjsUpdate, update);
    if (frame.length <= this.limit) this.dispatch(frame, update, number2);
    else {
      this.isBlocked = true;
      this.flights.push({ n: Infinity, number: number2, update, error: this.tooLarge(frame.length) });
      this.reportFirst(this.flights[0]);
    }
  }
  /**
   * @param {Uint8Array} frame
   * @param {Uint8Array} update
   * @param {number} number
   */
  dispatch(frame, update, number2) {
    this.frames++;
    if (this.acknowledges) this.flights.push({ n: this.frames, number: number2, update });
    this.line.post(frame);
  }
  /**
   * Take note that frames have arrived.
   *
   * @param {number} n how many of this connection are on the server's disk
   */
  acknowledge(n) {
    const before = this.flights.length;
    const waiting = this.flights.findIndex((flight) => flight.n > n);
    const arrived = this.flights.splice(0, waiting < 0 ? before : waiting);
    const last2 = arrived.at(-1);
    if (last2 !== void 0 && last2.number >= this.acknowledged) {
      this.acknowledged = last2.number;
      this.line.acknowledged(last2.number);
    }
    if (this.heldSince !== null) this.flush();
    this.reportFirst(this.flights[0]);
  }
  /**
   * Take note that a frame was refused.
   *
   * @param {number} n its number
   * @param {ComityError} error
   */
  reject(n, error) {
    const flight = this.flights.find((each) => each.n === n);
    if (flight !== void 0) this.report({ ...flight, error });
  }
  /**
   * Report an edit that was too large to send; before that, everything before it should have arrived.
   *
   * @param {Flight | undefined} flight
   */
  reportFirst(flight) {
    if (flight?.error !== void 0) this.report({ ...flight, error: flight.error });
  }
  refuseAll() {
    const update = encodeStateAsUpdate(this.doc, this.vector ?? void 0);
    const error = new ForbiddenError("read only", { remedy: "ask for the right to write" });
    const after = this.acknowledged;
    this.acknowledged = this.number;
    this.report({ after, number: this.number, update, error });
  }
  /** @param {Omit<Rejection, 'after'> & { after?: number }} refused */
  report({ after = this.acknowledged, number: number2, update, error }) {
    this.isBlocked = true;
    this.refused = number2;
    this.line.rejected({ after, number: number2, update, error });
  }
  /** @param {number} size */
  tooLarge(size2) {
    return new TooLargeError(`${size2} bytes of edits, over the server's limit of ${this.limit}`, {
      remedy: "edit in smaller steps, or start the server with a larger --max-message"
    });
  }
};
var framed = (step, update) => {
  const encoder3 = createEncoder();
  writeVarUint(encoder3, SYNC);
  writeVarUint(encoder3, step);
  writeVarUint8Array(encoder3, update);
  return toUint8Array(encoder3);
};
var headOf = (updates) => {
  let count = 1;
  let size2 = updates[0].length;
  while (count < updates.length && (size2 += updates[count].length) <= MAX_MERGED) count++;
  return count;
};

// src/connection.js
var MAX_EARLY = 8 * 1024 * 1024;
var EMPTY_UPDATE_BYTES = 2;
var utf82 = new TextEncoder();
var Connection = class extends ObservableV2 {
  /**
   * @param {string} url the room's, ws:// or wss://
   * @param {Options & import('./link.js').LinkOptions} [options]
   */
  constructor(url, options = {}) {
    super();
    this.url = url;
    this.link = this.newLink(options);
    this.presence = options.presence ?? null;
    this.status = "offline";
    this.lineage = null;
    this.hasMet = false;
    this.mustReset = false;
    this.isResetting = false;
    this.isOther = false;
    this.isErased = false;
    this.redactions = 0;
    this.roomLineage = null;
    this.asked = null;
    this.awaitsWelcome = false;
    this.hasAnswer = false;
    this.early = [];
    this.earlySize = 0;
    this.presenceLimit = Infinity;
    this.doc = new Doc();
    this.awareness = this.newAwareness(this.presence);
    this.uplink = options.edits === true ? this.newUplink(options.isLocal ?? (() => true)) : null;
    if (options.paused !== true) this.resume();
  }
  /** Why the server will not have this client. @returns {Refusal | null} */
  get refusal() {
    return this.link.refusal;
  }
  /** @returns {WebSocket | null} */
  get socket() {
    return this.link.socket;
  }
  /** Leave the room for good. The document stays readable. */
  destroy() {
    super.destroy();
    this.link.destroy();
    this.uplink?.follow(new Doc());
    this.awareness.destroy();
  }
  /** Leave the room until `resume` is called. */
  pause() {
    this.link.stop();
  }
  /** Connect, unless that is so already, or the server refused for good. */
  resume() {
    this.link.start();
  }
  /** Try again now, whatever the pause: the network is back. A live connection is asked whether it still is. */
  wake() {
    this.link.wake();
  }
  /** Ask the server for a sign of life, unless one is due already: every server answers a synchronisation step. */
  probe() {
    this.link.probe();
  }
  /** @param {import('./link.js').LinkOptions} options */
  newLink(options) {
    const hooks = {
      opened: (isComity) => this.onOpen(isComity),
      received: (bytes2) => this.onMessage(bytes2),
      closed: () => this.onClose(),
      refused: (refusal) => this.onRefused(refusal),
      ask: () => this.sendStep1(),
      ticked: () => this.uplink?.flushHeld()
    };
    return new Link(this.url, hooks, options);
  }
  /** @param {(origin: unknown) => boolean} isLocal */
  newUplink(isLocal) {
    const uplink = new Uplink({
      post: (frame) => this.link.send(frame),
      unsent: () => this.link.unsent,
      isLocal: (origin) => origin !== this && isLocal(origin),
      acknowledged: (number2) => this.onAcknowledged(number2),
      rejected: (rejection) => this.onRejected(rejection)
    });
    uplink.follow(this.doc);
    return uplink;
  }
  /**
   * @param {Record<string, unknown> | null} state
   * @returns {awarenessProtocol.Awareness}
   */
  newAwareness(state) {
    const awareness = new Awareness(this.doc);
    awareness.setLocalState(state);
    awareness.on("update", (_change, origin) => {
      if (origin === "local" && this.status !== "offline") this.sendPresence();
    });
    return awareness;
  }
  /** @param {boolean} isComity whether the server claims to speak `comity.v1` */
  onOpen(isComity) {
    this.setStatus("syncing");
    this.awaitsWelcome = isComity;
    if (!isComity) this.startSync();
  }
  /** Let go of everything that belongs to one socket, and of everyone's presence but one's own. */
  onClose() {
    this.uplink?.reset();
    this.hasAnswer = this.isResetting = false;
    this.asked = null;
    this.early = [];
    this.earlySize = 0;
    const others = [...this.awareness.states.keys()].filter((client) => client !== this.awareness.clientID);
    removeAwarenessStates(this.awareness, others, "disconnected");
    for (const client of this.awareness.meta.keys()) {
      if (client !== this.awareness.clientID) this.awareness.meta.delete(client);
    }
    this.setStatus("offline");
    this.emit("closed", []);
  }
  /** @param {Refusal} refusal */
  onRefused(refusal) {
    if (refusal.code === ERASED) this.forget();
    this.emit("refused", [refusal]);
  }
  /** Put an empty document in place of this one, whose room was erased. */
  forget() {
    this.isErased = true;
    this.roomLineage = null;
    this.redactions = 0;
    this.replaceDocument(encodeStateAsUpdate(new Doc()));
  }
  startSync() {
    this.sendStep1();
    this.awareness.setLocalState(this.awareness.getLocalState());
  }
  /** @param {Uint8Array} bytes */
  onMessage(bytes2) {
    try {
      this.read(createDecoder(bytes2));
    } catch (error) {
      console.error("Comity: a frame that cannot be read; connecting anew", error);
      this.link.comeBack();
    }
  }
  /** @param {decoding.Decoder} decoder */
  read(decoder2) {
    const type = readVarUint(decoder2);
    if (this.awaitsWelcome) this.meetServer(type);
    if (type === SYNC) this.readSync(decoder2);
    else if (type === AWARENESS) this.readAwareness(decoder2);
    else if (type === QUERY_AWARENESS) this.sendPresence();
    else if (type === COMITY) this.readControl(decoder2);
    else if (type === AUTH) this.readDenial(decoder2);
  }
  /**
   * Learn from the first frame what the server is: some stock ones agree to any subprotocol.
   *
   * @param {number} type the frame's
   */
  meetServer(type) {
    this.awaitsWelcome = false;
    if (type !== COMITY) this.startSync();
  }
  /** @param {decoding.Decoder} decoder */
  readSync(decoder2) {
    const step = readVarUint(decoder2);
    const body = readVarUint8Array(decoder2);
    if (step === messageYjsSyncStep1) this.answer(body);
    else if (step === messageYjsSyncStep2) this.takeAnswer(body);
    else this.takeUpdate(body);
  }
  /** @param {decoding.Decoder} decoder */
  readAwareness(decoder2) {
    applyAwarenessUpdate(this.awareness, readVarUint8Array(decoder2), this);
  }
  /** @param {decoding.Decoder} decoder */
  readDenial(decoder2) {
    readVarUint(decoder2);
    this.notice(4403, readVarString(decoder2));
  }
  /** @param {decoding.Decoder} decoder */
  readControl(decoder2) {
    const frame = readControl(decoder2);
    if (frame?.kind === "notice") this.takeNotice(frame);
    else if (frame?.kind === "welcome") this.takeWelcome(frame);
    else if (frame?.kind === "ack") this.uplink?.acknowledge(frame.n);
    else if (frame?.kind === "reject") this.uplink?.reject(frame.n, errorFor(frame.code, frame.reason));
  }
  /** @param {Notice} notice */
  takeNotice(notice) {
    if (notice.retry_after !== null) this.link.postpone(notice.retry_after);
    this.emit("notice", [notice]);
  }
  /**
   * @param {number} code
   * @param {string} text
   */
  notice(code, text3) {
    this.emit("notice", [{ kind: "notice", code, text: text3, retry_after: null, at: null }]);
  }
  /** @param {Welcome} welcome */
  takeWelcome(welcome) {
    this.isOther = this.hasMet && this.lineage !== welcome.lineage;
    this.isErased = this.hasMet && welcome.erased.includes(this.lineage ?? "");
    this.redactions = welcome.redactions;
    if (!this.hasMet) this.lineage = welcome.lineage;
    this.isResetting = this.mustReset || this.isOther;
    this.presenceLimit = welcome.limits.presence ?? Infinity;
    this.roomLineage = welcome.lineage;
    this.emit("welcome", [welcome]);
    this.uplink?.welcomed(welcome);
    if (this.status !== "offline") this.startSync();
  }
  /**
   * Send the server what it lacks.
   *
   * @param {Uint8Array} vector the state vector of what it has
   */
  answer(vector) {
    this.asked = vector;
    if (this.isResetting) return;
    if (this.uplink === null) {
      this.send(SYNC, (encoder3) => writeSyncStep2(encoder3, this.doc, vector));
      return;
    }
    try {
      this.uplink.answer(vector);
      this.checkLive();
    } catch (error) {
      if (!(error instanceof TooLargeError)) throw error;
      this.link.refuse({ code: 4413, reason: error.message });
    }
  }
  /** @param {Uint8Array} update what the document lacked, or all there is */
  takeAnswer(update) {
    if (this.isResetting) this.replaceDocument(update);
    else this.apply(update);
    this.hasAnswer = true;
    const early = this.early;
    this.early = [];
    this.earlySize = 0;
    for (const each of early) this.apply(each);
    this.checkLive();
  }
  /**
   * Apply an update; one that comes before the answer to our step 1 builds on that, and waits for it.
   *
   * @param {Uint8Array} update
   */
  takeUpdate(update) {
    if (this.isResetting) return;
    if (this.hasAnswer || this.earlySize > MAX_EARLY) {
      this.apply(update);
      return;
    }
    this.early.push(update);
    this.earlySize += update.length;
  }
  /** @param {Uint8Array} update */
  apply(update) {
    if (update.length > EMPTY_UPDATE_BYTES) this.meet();
    applyUpdate(this.doc, update, this);
    if (!this.hasAnswer || this.doc.store.pendingStructs === null) return;
    this.hasAnswer = false;
    this.sendStep1();
  }
  /**
   * Note that from now on the document and the room have something in common. Not before, since a room that nobody has
   * written to has another lineage whenever the server loads it.
   */
  meet() {
    if (this.hasMet || this.lineage === null) return;
    this.hasMet = true;
    this.emit("met", [this.lineage]);
  }
  /**
   * Take the server's document in place of this one.
   *
   * @param {Uint8Array} update all of it
   */
  replaceDocument(update) {
    const fresh = new Doc();
    applyUpdate(fresh, update, this);
    const old = this.doc;
    const presence = this.awareness.getLocalState();
    this.awareness.destroy();
    old.destroy();
    this.doc = fresh;
    this.awareness = this.newAwareness(presence);
    this.uplink?.follow(fresh);
    this.lineage = this.roomLineage;
    this.hasMet = update.length > EMPTY_UPDATE_BYTES;
    this.mustReset = this.isResetting = false;
    this.emit("document", [fresh, old]);
    this.sendPresence();
    if (this.asked !== null) this.answer(this.asked);
  }
  checkLive() {
    const isAsked = this.uplink === null || this.asked !== null || !this.uplink.mayWrite;
    if (!this.hasAnswer || !isAsked || this.isResetting) return;
    this.link.settled();
    this.setStatus("live");
  }
  /** @param {number} number */
  onAcknowledged(number2) {
    if (number2 > 0) this.meet();
    this.emit("acknowledged", [number2]);
  }
  /** @param {Rejection} rejection */
  onRejected(rejection) {
    this.mustReset = true;
    this.emit("rejected", [rejection]);
    this.link.comeBack();
  }
  sendStep1() {
    if (this.isResetting) this.send(SYNC, (encoder3) => writeSyncStep1(encoder3, new Doc()));
    else this.send(SYNC, (encoder3) => writeSyncStep1(encoder3, this.doc));
  }
  sendPresence() {
    const { awareness } = this;
    if (!awareness.meta.has(awareness.clientID)) return;
    const size2 = utf82.encode(JSON.stringify(awareness.getLocalState())).length;
    if (size2 > this.presenceLimit) {
      const text3 = `a presence of ${size2} bytes is over the server's limit of ${this.presenceLimit}, and is not sent`;
      this.notice(4413, text3);
      return;
    }
    const update = encodeAwarenessUpdate(awareness, [awareness.clientID]);
    this.send(AWARENESS, (encoder3) => writeVarUint8Array(encoder3, update));
  }
  /**
   * @param {number} type
   * @param {(encoder: encoding.Encoder) => void} write
   */
  send(type, write3) {
    const encoder3 = createEncoder();
    writeVarUint(encoder3, type);
    write3(encoder3);
    this.link.send(toUint8Array(encoder3));
  }
  /** @param {Status} status */
  setStatus(status) {
    if (status === this.status) return;
    this.status = status;
    this.emit("status", [status]);
  }
};

// src/limits.js
var MAX_READ_DEPTH = 256;
var LIMITS = Object.freeze({
  // A cell is sent whole at each write: what is larger belongs beside the document.
  valueBytes: 1024 * 1024,
  // Every entry of a cell repeats its field's name and its key.
  nameBytes: 1024,
  depth: 100,
  // Some 500 bytes of memory each, in every replica.
  cells: 1e6
});

// src/pack.js
var REMEDY = "store text, numbers, BigInts below 2^64, booleans, null, Uint8Arrays, Dates, arrays, sets, or objects and Maps of these";
var Float = class {
  /** @param {number} value */
  constructor(value) {
    this.value = value;
  }
  valueOf() {
    return this.value;
  }
};
var Packed = class {
  /** @param {Uint8Array} bytes exactly one MessagePack value */
  constructor(bytes2) {
    this.bytes = bytes2;
  }
};
var encoder = new TextEncoder();
var bytes = new Uint8Array(4096);
var view = new DataView(bytes.buffer);
var at = 0;
var room = (count) => {
  if (at + count <= bytes.length) return;
  const larger = new Uint8Array(Math.max(2 * bytes.length, at + count));
  larger.set(bytes.subarray(0, at));
  bytes = larger;
  view = new DataView(bytes.buffer);
};
var byte = (first) => {
  room(1);
  bytes[at++] = first;
};
var sized2 = (length2, one, two, four) => {
  room(5);
  if (length2 < 256 && one !== null) {
    bytes[at] = one;
    bytes[at + 1] = length2;
    at += 2;
  } else if (length2 < 65536) {
    bytes[at] = two;
    view.setUint16(at + 1, length2);
    at += 3;
  } else {
    bytes[at] = four;
    view.setUint32(at + 1, length2);
    at += 5;
  }
};
var writeInteger = (value) => {
  room(9);
  if (value >= 0) {
    if (value < 128) bytes[at++] = value;
    else if (value < 4294967296) sizedInteger(value);
    else {
      bytes[at] = 207;
      view.setUint32(at + 1, Math.floor(value / 4294967296));
      view.setUint32(at + 5, value % 4294967296);
      at += 9;
    }
  } else if (value >= -32) bytes[at++] = value & 255;
  else writeNegative(value);
};
var sizedInteger = (value) => {
  if (value < 256) {
    bytes[at] = 204;
    bytes[at + 1] = value;
    at += 2;
  } else if (value < 65536) {
    bytes[at] = 205;
    view.setUint16(at + 1, value);
    at += 3;
  } else {
    bytes[at] = 206;
    view.setUint32(at + 1, value);
    at += 5;
  }
};
var writeNegative = (value) => {
  if (value >= -128) {
    bytes[at] = 208;
    view.setInt8(at + 1, value);
    at += 2;
  } else if (value >= -32768) {
    bytes[at] = 209;
    view.setInt16(at + 1, value);
    at += 3;
  } else if (value >= -2147483648) {
    bytes[at] = 210;
    view.setInt32(at + 1, value);
    at += 5;
  } else {
    bytes[at] = 211;
    view.setBigInt64(at + 1, BigInt(value));
    at += 9;
  }
};
var writeFloat = (value) => {
  room(9);
  bytes[at] = 203;
  view.setFloat64(at + 1, value);
  at += 9;
};
var writeNumber = (value) => {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) writeInteger(value);
  else writeFloat(value);
};
var writeBigInt = (value) => {
  const number2 = Number(value);
  if (Number.isSafeInteger(number2)) return writeInteger(number2);
  if (value < -(2n ** 63n) || value >= 2n ** 64n) throw unstorable(`${value} takes more than 64 bits`);
  room(9);
  bytes[at] = value < 0n ? 211 : 207;
  view.setBigUint64(at + 1, BigInt.asUintN(64, value));
  at += 9;
};
var writeTextHead = (length2) => {
  if (length2 < 32) byte(160 | length2);
  else sized2(length2, 217, 218, 219);
};
var writeText = (text3) => {
  const { length: length2 } = text3;
  const start = at;
  if (length2 < 32) {
    room(length2 + 1);
    bytes[at++] = 160 | length2;
    for (let index = 0; index < length2; index++) {
      const unit = text3.charCodeAt(index);
      if (unit > 127) {
        at = start;
        return writeLongText(text3);
      }
      bytes[at++] = unit;
    }
  } else writeLongText(text3);
};
var writeLongText = (text3) => {
  if (/\p{Surrogate}/u.test(text3)) throw unstorable("a lone surrogate in a text");
  const encoded = encoder.encode(text3);
  writeTextHead(encoded.length);
  writeBytes(encoded);
};
var writeBytes = (data) => {
  room(data.length);
  bytes.set(data, at);
  at += data.length;
};
var writeBinary = (data) => {
  sized2(data.length, 196, 197, 198);
  writeBytes(data);
};
var writeArray = (items2, depth) => {
  const { length: length2 } = items2;
  if (length2 < 16) byte(144 | length2);
  else sized2(length2, null, 220, 221);
  for (let index = 0; index < length2; index++) writeValue(items2[index], depth);
};
var writeMap = (entries, depth) => {
  const { length: length2 } = entries;
  if (length2 < 16) byte(128 | length2);
  else sized2(length2, null, 222, 223);
  for (const [key, value] of entries) {
    if (typeof key === "object" && !(key instanceof Float)) throw unstorable(`a ${nameOf(key)} as a key`);
    if (key === "__proto__") throw unstorable("a key named __proto__", "choose another name");
    writeValue(key, 0);
    writeValue(value, depth);
  }
};
var writeSet = (set, depth) => {
  const items2 = [...set].map((item) => new Packed(packed(item, depth)));
  const keys2 = new Map(items2.map((item) => [item, canonical(item.bytes)]));
  items2.sort((a, b) => String(keys2.get(a)) < String(keys2.get(b)) ? -1 : 1);
  writeArray(items2, depth);
};
var writeObject = (value, depth) => {
  if (value instanceof Float) return writeFloat(value.value);
  if (value instanceof Packed) {
    if (depthOf(value.bytes) > depth)
      throw unstorable("a value that is nested too deep", "spread it over several cells");
    return writeBytes(value.bytes);
  }
  if (value instanceof Date) return writeText(isoTime(value));
  if (value instanceof Uint8Array) return writeBinary(value);
  if (value instanceof ArrayBuffer) return writeBinary(new Uint8Array(value));
  if (depth === 0) throw unstorable("a value that is nested too deep", "spread it over several cells");
  if (Array.isArray(value)) return writeArray(value, depth - 1);
  if (value instanceof Map) return writeMap([...value], depth - 1);
  if (value instanceof Set) return writeSet(value, depth - 1);
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw unstorable(`a ${nameOf(value)} has no stored form`);
  }
  writeMap(Object.entries(value), depth - 1);
};
var writeValue = (value, depth) => {
  switch (typeof value) {
    case "string":
      return writeText(value);
    case "number":
      return writeNumber(value);
    case "boolean":
      return byte(value ? 195 : 194);
    case "bigint":
      return writeBigInt(value);
    case "object":
      return value === null ? byte(192) : writeObject(value, depth);
    default:
      throw unstorable(`${nameOf(value)} has no stored form`);
  }
};
var isoTime = (date) => {
  const year = date.getUTCFullYear();
  if (!(year >= 1 && year <= 9999)) throw unstorable("a date outside of the years 1 to 9999");
  const text3 = date.toISOString().slice(0, -1);
  return (text3.endsWith(".000") ? text3.slice(0, -4) : `${text3}000`) + "+00:00";
};
var nameOf = (value) => typeof value === "object" && value !== null ? value.constructor?.name ?? "object" : typeof value;
var unstorable = (what, remedy = REMEDY) => new InvalidValueError(what, { remedy });
var packed = (value, depth) => {
  const start = at;
  try {
    writeValue(value, depth);
    return bytes.slice(start, at);
  } finally {
    at = start;
  }
};
var pack = (value, depth = LIMITS.depth, subject = "") => {
  try {
    return packed(value, depth);
  } catch (error) {
    throw named2(error, subject);
  }
};
var named2 = (error, subject) => error instanceof InvalidValueError ? new InvalidValueError(error.what, { subject, remedy: error.remedy }) : error;
var packEntry = (parts, depth = LIMITS.depth) => {
  const start = at;
  try {
    byte(144 | parts.length);
    for (let index = 0; index < parts.length; index++) writeValue(parts[index], depth);
    return bytes.slice(start, at);
  } catch (error) {
    throw named2(error, String(parts[1]));
  } finally {
    at = start;
  }
};

// src/entry.js
var REGISTER = 0;
var CELL = 1;
var ELEMENT = 2;
var COUNTER = 3;
var ITEM = 4;
var HEADER = 5;
var LISTED = 6;
var PLACE = 7;
var OPAQUE = -1;
var VALUE_AT = { [REGISTER]: 3, [CELL]: 4, [ELEMENT]: 2, [ITEM]: 3, [LISTED]: 4 };
var DECODE = /* @__PURE__ */ Symbol("decode");
var NO_BYTES = new Uint8Array();
var Entry = class {
  /**
   * @param {number} kind REGISTER, CELL, ELEMENT, COUNTER, ITEM, HEADER, LISTED, PLACE or OPAQUE
   * @param {string} field the field's path
   * @param {string} key what tells the cells of one field apart: a map's key, a set element's canonical form, a
   *   counter's client id, a list item's id; "" for the other kinds
   * @param {number} stamp the hybrid clock's stamp; 0 where the kind has none
   * @param {unknown} data a scalar value; [plus, minus] for a counter, the agent's name for a header, the position
   *   for a place
   * @param {number} ancestor the stamp of the entry that this one superseded; 0 for none
   * @param {number} client the Yjs client id of the lane it lies in
   * @param {Uint8Array} raw the stored bytes
   */
  constructor(kind, field, key, stamp, data, ancestor, client, raw) {
    this.kind = kind;
    this.field = field;
    this.key = key;
    this.stamp = stamp;
    this.data = data;
    this.ancestor = ancestor;
    this.client = client;
    this.raw = raw;
    this.segment = null;
  }
  /** The value as plain data; a new object at each read if it can be changed. @returns {unknown} */
  get value() {
    return this.data === DECODE ? held(this.packed) : this.data;
  }
  /** The value as it is stored. @returns {Uint8Array} */
  get packed() {
    return items(this.raw)[VALUE_AT[this.kind]];
  }
};
var readEntry = (stored, client) => {
  const raw = stored instanceof Uint8Array ? stored : NO_BYTES;
  return understood(raw, client) ?? new Entry(OPAQUE, "", "", 0, void 0, 0, client, raw);
};
var understood = (raw, client) => {
  try {
    const parts = items(raw);
    const kind = parts.length > 0 && isInteger2(parts[0]) ? Number(decode(parts[0])) : OPAQUE;
    const at2 = VALUE_AT[kind];
    if (raw.length > MAX_READ_DEPTH && at2 < parts.length && depthOf(parts[at2]) > MAX_READ_DEPTH) return null;
    return READERS.get(kind)?.(kind, parts, client, raw) ?? null;
  } catch {
    return null;
  }
};
var whole = (part) => {
  const value = isInteger2(part) ? decode(part) : null;
  return typeof value === "number" && value >= 0 ? value : null;
};
var text2 = (part) => {
  const value = decode(part);
  return typeof value === "string" ? value : null;
};
var isAscii = (value) => !/[^\x00-\x7f]/.test(value);
var held = (part) => {
  try {
    return decode(part);
  } catch {
    return void 0;
  }
};
var kept = (part) => isContainer(part[0]) ? DECODE : held(part);
var isContainer = (first) => first >= 128 && first < 160 || first >= 196 && first <= 198 || first >= 220 && first <= 223;
var ancestorOf = (parts, stamp, length2) => {
  if (parts.length === length2) return 0;
  const step = parts.length === length2 + 1 ? whole(parts[length2]) : null;
  return step !== null && step > 0 && step <= stamp ? stamp - step : -1;
};
var readRegister = (kind, parts, client, raw) => {
  if (parts.length < 4) return null;
  const field = text2(parts[1]);
  const stamp = whole(parts[2]);
  if (field === null || stamp === null) return null;
  const ancestor = ancestorOf(parts, stamp, 4);
  return ancestor < 0 ? null : new Entry(kind, field, "", stamp, kept(parts[3]), ancestor, client, raw);
};
var readItem = (kind, parts, client, raw) => {
  if (parts.length !== 4) return null;
  const field = text2(parts[1]);
  const stamp = whole(parts[2]);
  if (field === null || stamp === null) return null;
  return new Entry(kind, field, "", stamp, kept(parts[3]), 0, client, raw);
};
var readCell = (kind, parts, client, raw) => {
  if (parts.length < 5) return null;
  const field = text2(parts[1]);
  const key = text2(parts[2]);
  const stamp = whole(parts[3]);
  if (field === null || key === null || stamp === null) return null;
  if (kind === LISTED && !isAscii(key)) return null;
  const ancestor = ancestorOf(parts, stamp, 5);
  return ancestor < 0 ? null : new Entry(kind, field, key, stamp, kept(parts[4]), ancestor, client, raw);
};
var readPlace = (kind, parts, client, raw) => {
  if (parts.length !== 5) return null;
  const field = text2(parts[1]);
  const key = text2(parts[2]);
  const stamp = whole(parts[3]);
  const position = text2(parts[4]);
  if (field === null || key === null || stamp === null || position === null) return null;
  if (!isAscii(key) || !isAscii(position)) return null;
  return new Entry(kind, field, key, stamp, position, 0, client, raw);
};
var readElement = (kind, parts, client, raw) => {
  if (parts.length !== 3) return null;
  const field = text2(parts[1]);
  if (field === null) return null;
  return new Entry(kind, field, canonical(parts[2]), 0, kept(parts[2]), 0, client, raw);
};
var readCounter = (kind, parts, client, raw) => {
  if (parts.length !== 4) return null;
  const field = text2(parts[1]);
  const plus = whole(parts[2]);
  const minus = whole(parts[3]);
  if (field === null || plus === null || minus === null) return null;
  return new Entry(kind, field, String(client), 0, [plus, minus], 0, client, raw);
};
var readHeader = (kind, parts, client, raw) => {
  const agent = parts.length === 2 ? text2(parts[1]) : null;
  return agent === null ? null : new Entry(kind, "", String(client), 0, agent, 0, client, raw);
};
var READERS = /* @__PURE__ */ new Map([
  [REGISTER, readRegister],
  [CELL, readCell],
  [ELEMENT, readElement],
  [COUNTER, readCounter],
  [ITEM, readItem],
  [HEADER, readHeader],
  [LISTED, readCell],
  [PLACE, readPlace]
]);
var asRead = (value, raw, kind) => {
  const type = typeof value;
  if (type === "string" || type === "boolean" || value === null) return value;
  return type === "number" ? value : kept(items(raw)[VALUE_AT[kind]]);
};
var cellEntry = (kind, field, key, stamp, value, ancestor, client, depth) => {
  const parts = kind === REGISTER ? [kind, field, stamp, value] : [kind, field, key, stamp, value];
  const known = ancestor < stamp ? ancestor : 0;
  if (known > 0) parts.push(stamp - known);
  const raw = packEntry(parts, depth);
  return new Entry(kind, field, key, stamp, asRead(value, raw, kind), known, client, raw);
};
var placeEntry = (field, id2, stamp, position, client) => new Entry(PLACE, field, id2, stamp, position, 0, client, packEntry([PLACE, field, id2, stamp, position]));
var elementEntry = (field, element2, client, depth) => {
  const raw = packEntry([ELEMENT, field, element2], depth);
  const key = canonical(items(raw)[2]);
  return new Entry(ELEMENT, field, key, 0, asRead(element2, raw, ELEMENT), 0, client, raw);
};
var counterEntry = (field, plus, minus, client) => {
  const raw = packEntry([COUNTER, field, plus, minus]);
  return new Entry(COUNTER, field, String(client), 0, [plus, minus], 0, client, raw);
};
var itemEntry = (field, stamp, value, client, depth) => {
  const raw = packEntry([ITEM, field, stamp, value], depth);
  return new Entry(ITEM, field, "", stamp, asRead(value, raw, ITEM), 0, client, raw);
};
var headerEntry = (agent, client) => new Entry(HEADER, "", String(client), 0, agent, 0, client, packEntry([HEADER, agent]));
var inOrder = (a, b) => a.stamp - b.stamp || a.client - b.client || compareBytes(a.raw, b.raw);
var byPrecedence = (a, b) => inOrder(b, a);
var isSame = (a, b) => a === b || a !== void 0 && b !== void 0 && a.kind === b.kind && inOrder(a, b) === 0;
var compareBytes = (a, b) => {
  const length2 = Math.min(a.length, b.length);
  for (let at2 = 0; at2 < length2; at2++) if (a[at2] !== b[at2]) return a[at2] - b[at2];
  return a.length - b.length;
};

// src/cells.js
var KINDS2 = {
  [REGISTER]: "register",
  [CELL]: "map",
  [ELEMENT]: "set",
  [COUNTER]: "counter",
  [ITEM]: "log",
  [LISTED]: "list",
  [PLACE]: "list"
};
var DISPUTABLE = /* @__PURE__ */ new Set([REGISTER, CELL, LISTED]);
var MANY = 64;
var Cells = class {
  /**
   * @param {number} code REGISTER, CELL, ELEMENT, COUNTER, LISTED or PLACE
   * @param {string} name the field's path
   * @param {Branch | null} branch where the path lies, null at the root
   */
  constructor(code, name, branch) {
    this.code = code;
    this.kind = KINDS2[code];
    this.name = name;
    this.branch = branch;
    this.isDisputable = DISPUTABLE.has(code);
    this.cells = /* @__PURE__ */ new Map();
    this.disputed = /* @__PURE__ */ new Set();
    this.order = null;
    this.reader = null;
    this.standIns = /* @__PURE__ */ new Map();
    this.plus = this.sum = 0n;
    this.grows = false;
  }
  get size() {
    return this.cells.size;
  }
  /** @param {string} key @returns {readonly Entry[]} */
  at(key) {
    return this.cells.get(key) ?? NOTHING;
  }
  /**
   * Replace what a cell holds.
   *
   * @param {string} key
   * @param {readonly Entry[]} entries never changed afterwards, so that it can be compared with what comes later
   */
  put(key, entries) {
    const { size: size2 } = this.cells;
    if (this.code === COUNTER) this.addUp(this.at(key), entries);
    if (entries.length > 0) this.cells.set(key, entries);
    else this.cells.delete(key);
    if (this.isDisputable) {
      if (entries.length > 1) this.disputed.add(key);
      else if (this.disputed.size > 0) this.disputed.delete(key);
    }
    if (this.order !== null) this.order.touch(key);
    if (this.branch !== null) this.branch.resized(size2, this.cells.size);
  }
  /** The keys and values, each as a [key, value] pair. @returns {Generator<[string, unknown]>} */
  *entries() {
    for (const [key, entries] of this.cells) yield [key, entries[0].value];
  }
  /**
   * @param {readonly Entry[]} before
   * @param {readonly Entry[]} entries
   */
  addUp(before, entries) {
    const [plus, minus] = totalsOf(entries);
    const [plusBefore, minusBefore] = totalsOf(before);
    const added = BigInt(plus - plusBefore);
    this.plus += added;
    this.sum += added - BigInt(minus - minusBefore);
  }
  /** What a counter counts. */
  get counted() {
    return this.grows ? this.plus : this.sum;
  }
  /**
   * Return what one lane counts.
   *
   * @param {readonly Entry[]} entries
   */
  countedIn(entries) {
    const [plus, minus] = totalsOf(entries);
    return BigInt(this.grows ? plus : plus - minus);
  }
  /** What a counter counts. @returns {number | bigint} a BigInt beyond 2^53 - 1 */
  total() {
    return narrowed2(this.counted);
  }
};
var NOTHING = Object.freeze([]);
var withEntry = (entries, entry) => entries.length === 0 ? [entry] : [...entries, entry].sort(byPrecedence);
var narrowed2 = (value) => {
  const number2 = Number(value);
  return Number.isSafeInteger(number2) ? number2 : value;
};
var totalsOf = (entries) => {
  let plus = 0;
  let minus = 0;
  for (const { data } of entries) {
    const totals = (
      /** @type {[number, number]} */
      data
    );
    plus = Math.max(plus, totals[0]);
    minus = Math.max(minus, totals[1]);
  }
  return [plus, minus];
};
var Order = class {
  /**
   * @param {Cells} items the list's items by id
   * @param {Cells} places the places of those that were moved
   */
  constructor(items2, places) {
    this.items = items2;
    this.places = places;
    this.sorted = [];
    this.known = /* @__PURE__ */ new Map();
    this.touched = /* @__PURE__ */ new Set();
    items2.order = places.order = this;
  }
  /**
   * Note that an item came, went or was moved.
   *
   * @param {string} id
   */
  touch(id2) {
    this.touched.add(id2);
  }
  /**
   * Return the position of an item.
   *
   * @param {string} id
   * @returns {string}
   */
  position(id2) {
    const places = this.places.cells.get(id2);
    return places === void 0 ? id2 : (
      /** @type {string} */
      places[0].data
    );
  }
  /** The ids of all items, in order. @returns {readonly string[]} not to be changed */
  get ids() {
    if (this.touched.size > MANY) this.sort();
    else if (this.touched.size > 0) for (const id2 of this.touched) this.sortIn(id2);
    if (this.touched.size > 0) this.touched.clear();
    return this.sorted;
  }
  sort() {
    this.known = /* @__PURE__ */ new Map();
    for (const id2 of this.items.cells.keys()) this.known.set(id2, this.position(id2));
    this.sorted = [...this.known.keys()].sort((a, b) => this.compare(a, b));
  }
  /** @param {string} id */
  sortIn(id2) {
    if (this.known.has(id2)) {
      this.sorted.splice(this.find(id2), 1);
      this.known.delete(id2);
    }
    if (!this.items.cells.has(id2)) return;
    this.known.set(id2, this.position(id2));
    this.sorted.splice(this.find(id2), 0, id2);
  }
  /**
   * Return how many known items stand before one whose position is known.
   *
   * @param {string} id
   */
  find(id2) {
    let [low, high] = [0, this.sorted.length];
    while (low < high) {
      const middle = low + high >> 1;
      if (this.compare(this.sorted[middle], id2) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
  /**
   * @param {string} a
   * @param {string} b
   */
  compare(a, b) {
    const [one, other] = [
      /** @type {string} */
      this.known.get(a),
      /** @type {string} */
      this.known.get(b)
    ];
    if (one !== other) return one < other ? -1 : 1;
    return a < b ? -1 : a > b ? 1 : 0;
  }
};
var Items = class {
  /**
   * @param {string} name the field's path
   * @param {Branch | null} branch where the path lies, null at the root
   */
  constructor(name, branch) {
    this.kind = KINDS2[ITEM];
    this.name = name;
    this.branch = branch;
    this.live = /* @__PURE__ */ new Set();
    this.sorted = [];
    this.reader = null;
  }
  get size() {
    return this.live.size;
  }
  /** @param {Entry} entry */
  add(entry) {
    this.live.add(entry);
    const last2 = this.sorted?.at(-1);
    if (last2 === void 0 || inOrder(last2, entry) <= 0) this.sorted?.push(entry);
    else this.sorted = null;
    if (this.branch !== null) this.branch.resized(this.live.size - 1, this.live.size);
  }
  /** @param {Entry} entry */
  remove(entry) {
    this.live.delete(entry);
    if (this.sorted?.at(-1) === entry) this.sorted.pop();
    else this.sorted = null;
    if (this.branch !== null) this.branch.resized(this.live.size + 1, this.live.size);
  }
  /** The items in order. @returns {readonly Entry[]} not to be changed */
  list() {
    this.sorted ??= [...this.live].sort(inOrder);
    return this.sorted;
  }
};

// src/position.js
var BEFORE = ",";
var END = "-";
var AFTER = "/";
var MARK = ".";
var MAX_ROW_PATH = 64;
var MAX_WHOLE = BigInt(Number.MAX_SAFE_INTEGER);
var DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz";
var ZERO = "h".charCodeAt(0);
var NOWHERE = [];
var number = (value) => {
  const digits = value.toString(36);
  return DIGITS[digits.length] + digits;
};
var complement = (digits) => Array.from(digits, (digit) => DIGITS[35 - DIGITS.indexOf(digit)]).join("");
var wholeOrder = (value) => {
  const digits = (value < 0n ? -value : value).toString(36);
  if (value >= 0n) return String.fromCharCode(ZERO + digits.length) + digits;
  return String.fromCharCode(ZERO + 1 - digits.length) + complement(digits);
};
var splitOrder = (order) => {
  const length2 = order.charCodeAt(0) - ZERO;
  const size2 = length2 > 0 ? length2 : 1 - length2;
  const [digits, fraction] = [order.slice(1, 1 + size2), order.slice(1 + size2)];
  return [length2 > 0 ? parsed(digits) : -parsed(complement(digits)), fraction];
};
var parsed = (digits) => {
  let value = 0n;
  for (const digit of digits) value = value * 36n + BigInt(DIGITS.indexOf(digit));
  return value;
};
var orderBetween = (low, high) => {
  if (low === null) return wholeOrder(high === null ? 0n : splitOrder(high)[0] - 1n);
  const [below, fraction] = splitOrder(low);
  if (high === null) return wholeOrder(below + 1n);
  const [above, limit] = splitOrder(high);
  if (above - below > 1n) return wholeOrder(below + above >> 1n);
  if (above > below && limit !== "") return wholeOrder(above);
  return wholeOrder(below) + fractionBetween(fraction, above === below ? limit : null);
};
var fractionBetween = (low, high) => {
  let at2 = 0;
  if (high !== null) while (at2 < high.length && high[at2] === (low[at2] ?? "0")) at2 += 1;
  let limit = high === null ? null : high.slice(at2);
  let made = high === null ? "" : high.slice(0, at2);
  for (; ; at2 += 1) {
    const least = at2 < low.length ? DIGITS.indexOf(low[at2]) : 0;
    const most = limit === null ? 36 : DIGITS.indexOf(limit[0]);
    if (most - least > 1) return made + DIGITS[least + most >> 1];
    if (limit !== null && limit.length > 1) return made + limit[0];
    made += DIGITS[least];
    limit = null;
  }
};
var Positions = class {
  /** @param {number} client the session's client id */
  constructor(client) {
    this.session = client;
    this.client = number(client);
    this.made = 0;
    this.last = "";
    this.lastPath = NOWHERE;
  }
  /**
   * Return a new position after one and before another; null stands for an end of the list. Where neighbours
   * leave no room between them, which those of no sound session do, it lies elsewhere.
   *
   * @param {string | null} left
   * @param {string | null} right
   * @returns {string}
   */
  between(left, right) {
    this.made += 1;
    for (const path of this.candidates(left, right)) {
      this.last = write2(path);
      this.lastPath = path;
      if ((left === null || left < this.last) && (right === null || this.last < right)) break;
    }
    return this.last;
  }
  /**
   * @param {string | null} left
   * @param {string | null} right
   * @returns {Generator<Path>}
   */
  *candidates(left, right) {
    const [last2, lastPath] = [this.last, this.lastPath];
    const low = left === last2 ? lastPath : read(left);
    const forwards = { side: AFTER, order: wholeOrder(BigInt(this.made)), maker: "" };
    yield* this.inRow(low, left === last2, last2, forwards);
    const high = right === last2 ? lastPath : read(right);
    const backwards = { side: BEFORE, order: wholeOrder(BigInt(-this.made)), maker: "" };
    yield* this.inRow(high, right === last2, last2, backwards);
    const maker = this.client + number(this.made);
    yield betweenPaths(low, high, maker);
    yield [...low, { side: low.length > 0 ? AFTER : "", order: wholeOrder(0n), maker }];
  }
  /**
   * Yield a place in the row that a neighbour lies in, or that it begins, if that row is this session's.
   *
   * @param {Path} path the neighbour's
   * @param {boolean} isLast whether it is the position that was made last
   * @param {string} last
   * @param {Step} step
   * @returns {Generator<Path>}
   */
  *inRow(path, isLast, last2, step) {
    const above = path.slice(0, -1);
    if (path.length > 1 && path[path.length - 1].side === step.side && this.isMine(above))
      yield [...above, step];
    if (isLast && this.isMine(path) && last2.length <= MAX_ROW_PATH) yield [...path, step];
  }
  /** @param {Path} path */
  isMine(path) {
    for (let at2 = path.length - 1; at2 >= 0; at2--) {
      if (path[at2].maker !== "") return path[at2].maker.startsWith(this.client);
    }
    return false;
  }
};
var betweenPaths = (low, high, maker) => {
  let level = 0;
  while (level < Math.min(low.length, high.length) && isSame2(low[level], high[level])) level += 1;
  const [lower, higher] = [low[level], high[level]];
  if (lower && higher && lower.side === higher.side && lower.order >= higher.order) {
    return [...low, { side: AFTER, order: wholeOrder(0n), maker }];
  }
  const side = lower?.side ?? higher?.side ?? "";
  const ceiling = higher?.side === side ? higher.order : null;
  return [...low.slice(0, level), { side, order: orderBetween(lower?.order ?? null, ceiling), maker }];
};
var isSame2 = (a, b) => a.side === b.side && a.order === b.order && a.maker === b.maker;
var write2 = (path) => path.map(({ side, order, maker }) => side + order + MARK + maker).join("") + END;
var STEP = /([,/]?)([a-z][0-9a-z]+)\.((?:[0-9a-z]+)?)/y;
var read = (position) => {
  if (position === null) return NOWHERE;
  const path = [];
  STEP.lastIndex = 0;
  for (let found = STEP.exec(position); found !== null; found = STEP.exec(position)) {
    const [, side, order, maker] = found;
    if (side === "" !== (path.length === 0) || !isOrder(order) || !isMaker(maker)) return NOWHERE;
    path.push({ side, order, maker });
    if (position[STEP.lastIndex] === END) return STEP.lastIndex === position.length - 1 ? path : NOWHERE;
  }
  return NOWHERE;
};
var isOrder = (order) => {
  const [whole2, fraction] = splitOrder(order);
  if (whole2 > MAX_WHOLE || whole2 < -MAX_WHOLE || fraction.endsWith("0")) return false;
  return order === wholeOrder(whole2) + fraction;
};
var isMaker = (maker) => {
  if (maker === "") return true;
  const second = 1 + DIGITS.indexOf(maker[0]);
  return second > 1 && second < maker.length && maker[second] !== "0" && second + 1 + DIGITS.indexOf(maker[second]) === maker.length;
};

// src/changes.js
var Teller = class {
  /**
   * @param {Step[]} steps while the index is as they left it
   * @param {() => number | null} deleter who made the deletions among them, if it is known
   */
  constructor(steps, deleter) {
    this.steps = steps;
    this.deleter = deleter;
    this.totals = /* @__PURE__ */ new Map();
    this.written = /* @__PURE__ */ new Map();
    this.quiet = /* @__PURE__ */ new Set();
  }
  /** Return the changes in the order of the steps. @returns {Told[]} */
  changes() {
    for (const step of this.steps) {
      if ("cells" in step && step.cells.code === LISTED && this.cellChange(step) !== null)
        this.noteWritten(step);
    }
    const changes = [];
    for (let at2 = this.steps.length - 1; at2 >= 0; at2--) {
      const step = this.steps[at2];
      const change = "items" in step ? this.itemChange(step) : this.cellChange(step);
      if (change !== null) changes.push(change);
      else if ("cells" in step) this.noteQuiet(step);
    }
    return changes.reverse();
  }
  /** @param {CellStep} step */
  noteWritten({ cells, key }) {
    const keys2 = this.written.get(cells);
    if (keys2 === void 0) this.written.set(cells, /* @__PURE__ */ new Set([key]));
    else keys2.add(key);
  }
  /** @param {CellStep} step */
  noteQuiet({ cells, key, before }) {
    const after = cells.at(key);
    if (cells.isDisputable && (before.length !== after.length || before[0] !== after[0]))
      this.quiet.add(cells);
  }
  /**
   * @param {CellStep} step
   * @returns {Told | null}
   */
  cellChange(step) {
    const { cells, key, before } = step;
    if (cells.code === COUNTER) return this.counterChange(step);
    const after = cells.at(key);
    if (cells.code === ELEMENT) return this.elementChange(step, after);
    if (cells.code === PLACE) return isSame(before[0], after[0]) ? null : this.placeChange(step);
    if (cells.reader === null || before.length + after.length < 3) {
      if (isSame(before[0], after[0])) return null;
      return this.told(step, after, before[0]?.value, after[0]?.value);
    }
    const [old, value] = [picked(cells, before), picked(cells, after)];
    const stays = before.length === 0 === (after.length === 0) && isEqual(old, value);
    return stays ? null : this.told(step, after, old, value);
  }
  /**
   * @param {CellStep} step
   * @param {readonly Entry[]} after
   * @param {unknown} old
   * @param {unknown} value
   * @returns {Told}
   */
  told({ cells, key, before }, after, old, value) {
    return {
      kind: cells.kind,
      field: cells.name,
      key: cells.code === CELL || cells.code === LISTED ? key : null,
      old,
      value,
      client: this.who(before, after),
      action: before.length === 0 ? "added" : after.length === 0 ? "removed" : "changed"
    };
  }
  /**
   * A rival that comes to be read was written before: who deleted what was read made this change.
   *
   * @param {readonly Entry[]} before
   * @param {readonly Entry[]} after
   */
  who(before, [first]) {
    const came = first !== void 0 && !before.some((entry) => isSame(entry, first));
    return came ? first.client : this.deleter();
  }
  /**
   * @param {CellStep} step
   * @param {readonly Entry[]} after
   * @returns {Told | null}
   */
  elementChange({ cells, before }, after) {
    if (before.length === 0 === (after.length === 0)) return null;
    const came = after.length > 0;
    return {
      kind: cells.kind,
      field: cells.name,
      key: (after[0] ?? before[0]).value,
      old: came ? void 0 : true,
      value: came ? true : void 0,
      client: this.who(before, after),
      action: came ? "added" : "removed"
    };
  }
  /**
   * @param {CellStep} step
   * @returns {Told | null}
   */
  counterChange({ cells, key, before }) {
    const difference = cells.countedIn(cells.at(key)) - cells.countedIn(before);
    if (difference === 0n) return null;
    const value = this.totals.get(cells.name) ?? cells.counted;
    this.totals.set(cells.name, value - difference);
    const [old, now] = [value - difference, value].map(narrowed2);
    return {
      kind: "counter",
      field: cells.name,
      key: null,
      old,
      value: now,
      client: Number(key),
      action: "changed"
    };
  }
  /**
   * @param {CellStep} step
   * @returns {Told | null} null if the item came, went or changed, too, which says more
   */
  placeChange({ cells, key }) {
    const items2 = (
      /** @type {import('./cells.js').Order} */
      cells.order.items
    );
    const entries = items2.at(key);
    if (entries.length === 0) return null;
    if (this.written.get(items2)?.has(key)) return null;
    const value = picked(items2, entries);
    const client = cells.at(key)[0]?.client ?? this.deleter();
    return { kind: "list", field: cells.name, key, old: value, value, client, action: "moved" };
  }
  /**
   * @param {ItemStep} step
   * @returns {Told}
   */
  itemChange({ items: items2, entry, gained }) {
    const [old, value] = gained ? [void 0, entry.value] : [entry.value, void 0];
    const client = gained ? entry.client : this.deleter();
    const action = gained ? "added" : "removed";
    return { kind: items2.kind, field: items2.name, key: null, old, value, client, action };
  }
};
var rootChange = ({ clients, ...change }, deleter) => {
  const [only] = clients;
  const client = clients.size > 1 ? null : only ?? deleter();
  const isCell = change.kind === "plain-map" && change.key !== null;
  return { ...change, client, action: isCell ? cameOrWent(change) : "changed" };
};
var cameOrWent = ({ old, value }) => value === void 0 ? "removed" : old === void 0 ? "added" : "changed";
var picked = (cells, entries) => entries.length > 1 && cells.reader !== null ? cells.reader.pick(entries) : entries[0]?.value;
var isEqual = (a, b) => {
  if (a === void 0 || b === void 0) return a === b;
  try {
    return canonical(pack(a)) === canonical(pack(b));
  } catch {
    return false;
  }
};
var shownKey = (entry) => {
  if (entry.kind === CELL || entry.kind === LISTED) return entry.key;
  return entry.kind === ELEMENT ? entry.value : null;
};
var onlyWriter = (transaction) => {
  let writer = null;
  for (const [client, clock] of transaction.afterState) {
    if (clock === (transaction.beforeState.get(client) ?? 0)) continue;
    if (writer !== null) return null;
    writer = client;
  }
  return writer;
};

// src/clock.js
var EPOCH_MS = 15778368e5;
var TICKS_PER_MS = 4096;
var MAX_AHEAD_MS = 5 * 60 * 1e3;
var stampMs = (stamp) => Math.floor(stamp / TICKS_PER_MS) + EPOCH_MS;
var HybridClock = class {
  /**
   * @param {() => number} [now] the wall clock, in milliseconds since the Unix epoch
   * @param {number} [offset] where the counter of each millisecond begins, from 0 to 4,095: with one of its own a
   *   session rarely makes a stamp that another one makes, too
   */
  constructor(now = Date.now, offset = 0) {
    this.now = now;
    this.offset = offset;
    this.last = 0;
  }
  /** Return a stamp greater than every stamp made or seen. */
  tick() {
    const stamp = (Math.floor(this.now()) - EPOCH_MS) * TICKS_PER_MS + this.offset;
    this.last = stamp > this.last ? stamp : this.last + 1;
    return this.last;
  }
  /**
   * Move past a stamp that somebody else made. One that lies more than MAX_AHEAD_MS ahead of the wall clock is not
   * followed: a single broken clock would otherwise drag everybody's along.
   *
   * @param {number} stamp
   */
  observe(stamp) {
    if (stamp > this.last && stampMs(stamp) <= this.now() + MAX_AHEAD_MS) this.last = stamp;
  }
};

// src/disputes.js
var SUPERSEDED_KEPT = 1024;
var SUPERSEDED_BYTES = 1024 * 1024;
var DELETIONS_KEPT = 4096;
var DELETED_BYTES = 1024;
var NO_BYTES2 = new Uint8Array();
var Disputes = class {
  constructor() {
    this.superseded = [];
    this.oldest = 0;
    this.bytes = 0;
    this.deletions = /* @__PURE__ */ new Map();
    this.revived = /* @__PURE__ */ new Map();
  }
  /**
   * Note entries that were live and are not any more.
   *
   * @param {readonly Entry[]} entries
   */
  supersede(entries) {
    const { superseded } = this;
    for (const entry of entries) this.bytes += superseded[superseded.push(entry) - 1].raw.length;
    while (superseded.length - this.oldest > SUPERSEDED_KEPT || this.bytes > SUPERSEDED_BYTES) {
      this.bytes -= superseded[this.oldest++].raw.length;
    }
    if (this.oldest > SUPERSEDED_KEPT) this.oldest -= superseded.splice(0, this.oldest).length;
  }
  /**
   * Return what was superseded in a cell, the last one first, as far as it is remembered.
   *
   * @param {{ kind: number, field: string, key: string }} cell
   * @returns {Generator<Entry>}
   */
  *before({ kind, field, key }) {
    for (let at2 = this.superseded.length - 1; at2 >= this.oldest; at2--) {
      const entry = this.superseded[at2];
      if (entry.field === field && entry.key === key && entry.kind === kind) yield entry;
    }
  }
  /**
   * Note that a transaction left a cell empty.
   *
   * @param {Deletion} deletion
   */
  deleted(deletion) {
    const place = placeOf(deletion.cells, deletion.key);
    this.revived.get(deletion.cells)?.delete(deletion.key);
    this.deletions.delete(place);
    this.deletions.set(place, { ...deletion, entry: light(deletion.entry) });
    if (this.deletions.size > DELETIONS_KEPT) {
      const [oldest] = this.deletions.keys();
      this.deletions.delete(oldest);
    }
  }
  /**
   * Tell whether a cell is remembered as deleted.
   *
   * @param {Cells} cells
   * @param {string} key
   */
  isDeleted(cells, key) {
    return this.deletions.has(placeOf(cells, key));
  }
  /**
   * Note that a transaction filled an empty cell.
   *
   * @param {Cells} cells
   * @param {string} key
   * @returns {boolean} whether it was done by somebody who did not know it deleted
   */
  written(cells, key) {
    const place = placeOf(cells, key);
    const deletion = this.deletions.get(place);
    const entries = cells.at(key);
    if (deletion === void 0 || entries.length === 0) return false;
    this.deletions.delete(place);
    const { stamp } = deletion.entry;
    if (!entries.some(({ ancestor }) => ancestor > 0 && ancestor === stamp)) return false;
    const revivals = this.revived.get(cells) ?? /* @__PURE__ */ new Map();
    this.revived.set(cells, revivals.set(key, { deletion, entry: entries[0] }));
    if (revivals.size > DELETIONS_KEPT) revivals.delete(revivals.keys().next().value);
    return true;
  }
  /**
   * Return the keys of a field's cells that may be in conflict.
   *
   * @param {Cells} cells
   * @returns {string[]}
   */
  keys(cells) {
    const revived = this.revived.get(cells);
    return [.../* @__PURE__ */ new Set([...cells.disputed, ...revived?.keys() ?? []])].sort();
  }
  /**
   * Look into what a cell holds. Entries of one value are one rival, the one that is read first: there is nothing to
   * choose between them.
   *
   * @param {Cells} cells
   * @param {string} key
   * @returns {Dispute | null} null if it is not in conflict
   */
  look(cells, key) {
    const entries = distinct(cells.at(key));
    const deletion = this.deletionOf(cells, key);
    if (deletion !== null) {
      const ancestor = deletion.entry.raw.length > 0 ? deletion.entry : null;
      return { kind: "deleted_modified", entries, deletion, ancestor };
    }
    if (entries.length < 2) return null;
    return { kind: kindOf(entries), entries, deletion, ancestor: this.ancestor(entries) };
  }
  /**
   * @param {Cells} cells
   * @param {string} key
   * @returns {Deletion | null}
   */
  deletionOf(cells, key) {
    const revival = this.revived.get(cells)?.get(key);
    const live = cells.at(key).some((entry) => isSame(entry, revival?.entry));
    return revival !== void 0 && live ? revival.deletion : null;
  }
  /**
   * Return the youngest entry that all rivals descend from, as far as this replica remembers.
   *
   * @param {Entry[]} rivals
   * @returns {Entry | null}
   */
  ancestor([first, ...others]) {
    const lines = others.map((rival) => new Set([...this.line(rival)].map(({ stamp }) => stamp)));
    for (const entry of this.line(first)) if (lines.every((line) => line.has(entry.stamp))) return entry;
    return null;
  }
  /**
   * The entries that one descends from, the youngest first.
   *
   * @param {Entry} entry
   * @returns {Generator<Entry>}
   */
  *line(entry) {
    let before = this.find(entry);
    while (before !== void 0) {
      yield before;
      before = this.find(before);
    }
  }
  /**
   * @param {Entry} entry
   * @returns {Entry | undefined}
   */
  find(entry) {
    if (entry.ancestor === 0) return void 0;
    const found = [...this.before(entry)].filter((old) => old.stamp === entry.ancestor);
    return found.length === 1 ? found[0] : void 0;
  }
};
var light = (entry) => {
  if (entry.raw.length <= DELETED_BYTES) return entry;
  const { kind, field, key, stamp, ancestor, client } = entry;
  return new Entry(kind, field, key, stamp, void 0, ancestor, client, NO_BYTES2);
};
var placeOf = ({ code, name }, key) => `${code}${name.length} ${name}${key}`;
var distinct = (entries) => {
  if (entries.length < 2) return [...entries];
  const values = /* @__PURE__ */ new Set();
  return entries.filter(({ packed: packed2 }) => {
    const value = canonical(packed2);
    return !values.has(value) && values.add(value);
  });
};
var kindOf = (entries) => {
  const types = new Set(entries.map(({ value }) => typeOf(value)));
  types.delete("null");
  return types.size > 1 ? "type_mismatch" : "concurrent_modification";
};
var typeOf = (value) => {
  if (value === null || value === void 0) return "null";
  if (Array.isArray(value)) return "array";
  if (value instanceof Uint8Array) return "bytes";
  return typeof value === "bigint" ? "number" : typeof value;
};

// src/lanes.js
var ROOT = "lanes";
var SEGMENT_SIZE = 256;
var Segment = class {
  /**
   * @param {number} client
   * @param {Lanes} lanes
   * @param {Y.Array<unknown>} type
   */
  constructor(client, lanes, type) {
    this.client = client;
    this.lanes = lanes;
    this.type = type;
    this.entries = [];
  }
  /**
   * @param {number} at
   * @param {unknown[]} values
   */
  insert(at2, values) {
    const entries = values.map((value) => readEntry(value, this.client));
    splice(this.entries, at2, entries);
    for (const entry of entries) {
      entry.segment = this;
      this.lanes.added(entry);
    }
  }
  /**
   * @param {number} at
   * @param {number} count
   */
  delete(at2, count) {
    for (const entry of this.entries.splice(at2, count)) {
      entry.segment = null;
      this.lanes.removed(entry);
    }
    if (this.entries.length === 0) this.lanes.spend(this);
  }
};
var Lane = class {
  /**
   * @param {number} client
   * @param {Lanes} lanes
   * @param {Y.Array<unknown>} type
   */
  constructor(client, lanes, type) {
    this.client = client;
    this.lanes = lanes;
    this.type = type;
    this.places = [];
  }
  /**
   * @param {number} at
   * @param {unknown[]} types
   */
  insert(at2, types) {
    const places = types.map((type) => ({ type, segment: this.lanes.openSegment(type, this.client) }));
    splice(this.places, at2, places);
    for (const { type, segment } of places) {
      if (segment !== null) segment.insert(
        0,
        /** @type {Y.Array<unknown>} */
        type.toArray()
      );
    }
  }
  /**
   * @param {number} at
   * @param {number} count
   */
  delete(at2, count) {
    for (const { type, segment } of this.places.splice(at2, count)) {
      this.lanes.mirrors.delete(type);
      segment?.delete(0, segment.entries.length);
    }
  }
};
var Lanes = class {
  /**
   * @param {Y.Doc} ydoc
   * @param {LaneListener} listener called for what is there already, too
   */
  constructor(ydoc, listener) {
    this.ydoc = ydoc;
    this.listener = listener;
    this.authors = /* @__PURE__ */ new Map();
    this.headers = /* @__PURE__ */ new Map();
    this.mirrors = /* @__PURE__ */ new Map();
    this.types = /* @__PURE__ */ new Map();
    this.spent = /* @__PURE__ */ new Set();
    this.root = /** @type {Y.Map<unknown>} */
    ydoc.getMap(ROOT);
    this.onEvent = this.onEvent.bind(this);
    this.root.observe(this.onEvent);
    this.readAll();
  }
  /** Stop observing the document. */
  destroy() {
    this.root.unobserve(this.onEvent);
    for (const type of this.mirrors.keys()) type.unobserve(this.onEvent);
  }
  /** Read every lane anew, into an index that is empty. */
  readAll() {
    for (const type of this.mirrors.keys()) type.unobserve(this.onEvent);
    const { authors, headers, mirrors, types, spent } = this;
    for (const forgotten of [authors, headers, mirrors, types, spent]) forgotten.clear();
    for (const key of this.root.keys()) this.openLane(key);
  }
  /**
   * Follow what happened to one type. Each is observed by itself, because Yjs works out the paths of all events for
   * those who observe deeply; in which order they come does not matter.
   *
   * @param {Y.YEvent<any>} event
   * @param {Y.Transaction} transaction
   */
  onEvent(event, transaction) {
    if (this.listener.isKnown(transaction)) return;
    if (event.target === this.root) this.replaceLanes(event.changes.keys.keys());
    else this.integrate(event);
  }
  /** @param {Iterable<string>} keys */
  replaceLanes(keys2) {
    for (const key of keys2) {
      this.closeLane(key);
      this.openLane(key);
    }
  }
  /** @param {Y.YEvent<any>} event */
  integrate(event) {
    const mirror = this.mirrors.get(event.target);
    if (mirror === void 0) return;
    let at2 = 0;
    for (const step of deltaOf(event)) {
      at2 += step.retain ?? 0;
      if (step.delete) mirror.delete(at2, step.delete);
      if (step.insert) {
        mirror.insert(at2, step.insert);
        at2 += step.insert.length;
      }
    }
  }
  /** @param {string} key */
  openLane(key) {
    const type = this.root.get(key);
    const client = Number(key);
    if (!(type instanceof YArray) || !isClient(client, key)) return;
    const lane = new Lane(client, this, type);
    this.mirror(type, lane);
    this.types.set(key, type);
    lane.insert(0, type.toArray());
  }
  /** @param {string} key */
  closeLane(key) {
    const type = this.types.get(key);
    const lane = type === void 0 ? void 0 : this.mirrors.get(type);
    if (type === void 0 || !(lane instanceof Lane)) return;
    this.types.delete(key);
    this.mirrors.delete(type);
    lane.delete(0, lane.places.length);
  }
  /**
   * @param {Y.Array<unknown>} type
   * @param {Lane | Segment} mirror
   */
  mirror(type, mirror) {
    this.mirrors.set(type, mirror);
    type.observe(this.onEvent);
  }
  /**
   * @param {unknown} type
   * @param {number} client
   * @returns {Segment | null} null if there is no segment in this place
   */
  openSegment(type, client) {
    if (!(type instanceof YArray)) return null;
    const segment = new Segment(client, this, type);
    this.mirror(type, segment);
    return segment;
  }
  /** @param {Entry} entry */
  added(entry) {
    if (entry.kind === HEADER) this.putHeaders(entry.client, [...this.headersOf(entry), entry]);
    else if (entry.kind !== OPAQUE) this.listener.added(entry);
  }
  /** @param {Entry} entry */
  removed(entry) {
    if (entry.kind === HEADER) {
      this.putHeaders(
        entry.client,
        this.headersOf(entry).filter((other) => other !== entry)
      );
    } else if (entry.kind !== OPAQUE) this.listener.removed(entry);
  }
  /** @param {Entry} entry */
  headersOf({ client }) {
    return this.headers.get(client) ?? [];
  }
  /**
   * @param {number} client
   * @param {Entry[]} headers
   */
  putHeaders(client, headers) {
    const [first] = headers.sort(byPrecedence);
    if (first === void 0) {
      this.headers.delete(client);
      this.authors.delete(client);
    } else {
      this.headers.set(client, headers);
      this.authors.set(
        client,
        /** @type {string} */
        first.value
      );
    }
  }
  // Writing
  /**
   * Delete and append entries, inside a Yjs transaction; the index has them already, since the edits were seen when
   * they were made.
   *
   * @param {number} client this session's client id
   * @param {string} agent the name that its lane's header shall bear
   * @param {Writing} writing
   */
  write(client, agent, { doomed, fresh, signs }) {
    const before = this.headers.get(client)?.[0];
    const lane = this.own(client);
    if (before === void 0) this.appendHeader(lane, agent);
    for (const entry of doomed) this.delete(entry);
    for (const entry of fresh) this.append(lane, entry);
    if (signs && before !== void 0) {
      this.removed(before);
      this.delete(before);
      this.appendHeader(lane, agent);
    }
    if (this.spent.size > 0) this.retire(lane);
  }
  /**
   * Return this session's lane, which somebody may have deleted.
   *
   * @param {number} client
   * @returns {Lane}
   */
  own(client) {
    const key = String(client);
    const opened = this.types.get(key);
    const known = opened === void 0 ? void 0 : this.mirrors.get(opened);
    if (known instanceof Lane) return known;
    const type = this.root.set(key, new YArray());
    const lane = new Lane(client, this, type);
    this.mirror(type, lane);
    this.types.set(key, type);
    return lane;
  }
  /**
   * @param {Lane} lane
   * @param {string} agent
   */
  appendHeader(lane, agent) {
    const header = headerEntry(agent, lane.client);
    this.append(lane, header);
    this.added(header);
  }
  /**
   * @param {Lane} lane
   * @param {Entry} entry
   */
  append(lane, entry) {
    let segment = lane.places.at(-1)?.segment;
    if (!segment || segment.entries.length >= SEGMENT_SIZE) segment = this.appendSegment(lane);
    segment.type.push([entry.raw]);
    segment.entries.push(entry);
    entry.segment = segment;
  }
  /** @param {Lane} lane */
  appendSegment(lane) {
    const type = new YArray();
    lane.type.push([type]);
    const segment = (
      /** @type {Segment} */
      this.openSegment(type, lane.client)
    );
    lane.places.push({ type, segment });
    return segment;
  }
  /** @param {Entry} entry */
  delete(entry) {
    const segment = (
      /** @type {Segment} */
      entry.segment
    );
    const at2 = segment.entries.indexOf(entry);
    segment.type.delete(at2, 1);
    segment.entries.splice(at2, 1);
    entry.segment = null;
    if (segment.entries.length === 0) this.spend(segment);
  }
  /** @param {Segment} segment one that is empty */
  spend(segment) {
    if (segment.client === this.ydoc.clientID) this.spent.add(segment);
  }
  /**
   * Delete this session's segments that are empty, but for the last; nobody else may, it could be appending to it.
   *
   * @param {Lane} lane
   */
  retire(lane) {
    for (const segment of this.spent) {
      const at2 = lane.places.findIndex((place) => place.segment === segment);
      if (segment.entries.length > 0 || at2 < 0 || at2 === lane.places.length - 1) continue;
      lane.type.delete(at2, 1);
      lane.places.splice(at2, 1);
      this.mirrors.delete(segment.type);
    }
    this.spent.clear();
  }
};
var deltaOf = (event) => {
  const delta = [];
  for (let item = event.target._start; item !== null; item = item.right) {
    if (!item.countable) continue;
    const isNew = event.adds(item);
    if (!item.deleted) delta.push(isNew ? { insert: item.content.getContent() } : { retain: item.length });
    else if (!isNew && event.deletes(item)) delta.push({ delete: item.length });
  }
  return delta;
};
var isClient = (client, key) => Number.isSafeInteger(client) && client >= 0 && String(client) === key;
var splice = (list, at2, added) => {
  const tail = list.splice(at2);
  for (const item of added) list.push(item);
  for (const item of tail) list.push(item);
};

// src/path.js
var escape2 = (name) => /[~/]/.test(name) ? name.replaceAll("~", "~0").replaceAll("/", "~1") : name;
var unescape2 = (part) => part.includes("~") ? part.replaceAll("~1", "/").replaceAll("~0", "~") : part;
var child = (parent, name) => parent === "" ? escape2(name) : `${parent}/${escape2(name)}`;
var split = (path) => path.split("/").map(unescape2);

// src/branch.js
var Branch = class _Branch {
  /** @param {Branch | null} parent */
  constructor(parent) {
    this.parent = parent;
    this.children = /* @__PURE__ */ new Map();
    this.fields = /* @__PURE__ */ new Set();
    this.text = null;
    this.live = 0;
  }
  /**
   * Return the branch of a path below this one, which is made if there is none.
   *
   * @param {string} path
   * @returns {Branch}
   */
  at(path) {
    let branch = this;
    for (const name of split(path)) branch = branch.child(name);
    return branch;
  }
  /**
   * @param {string} name
   * @returns {Branch}
   */
  child(name) {
    let found = this.children.get(name);
    if (found === void 0) {
      found = new _Branch(this);
      this.children.set(name, found);
    }
    return found;
  }
  /**
   * Take note that a field at this path has become smaller or larger.
   *
   * @param {number} before
   * @param {number} after
   */
  resized(before, after) {
    if (before === 0 === (after === 0)) return;
    const gained = after > 0 ? 1 : -1;
    for (let branch = (
      /** @type {Branch | null} */
      this
    ); branch !== null; branch = branch.parent) {
      branch.live += gained;
    }
  }
  /** Every branch from this one down. @returns {Generator<Branch>} */
  *walk() {
    yield this;
    for (const child2 of this.children.values()) yield* child2.walk();
  }
};

// src/steps.js
var net = (steps) => {
  if (steps.length < 2) return steps;
  const seen = /* @__PURE__ */ new Map();
  const gains = gainsOf(steps);
  return steps.filter((step) => "items" in step ? isNet(step, gains) : isFirst(step, seen));
};
var isFirst = ({ cells, key }, seen) => {
  const keys2 = seen.get(cells);
  if (keys2 === void 0) seen.set(cells, /* @__PURE__ */ new Set([key]));
  else if (keys2.has(key)) return false;
  else keys2.add(key);
  return true;
};
var isNet = (step, gains) => {
  if (gains === null) return true;
  const name = itemName(step);
  const left = gains.get(name) ?? 0;
  if (left === 0 || left > 0 !== step.gained) return false;
  gains.set(name, left - (step.gained ? 1 : -1));
  return true;
};
var gainsOf = (steps) => {
  const items2 = steps.filter((step) => "items" in step);
  if (items2.every(({ gained }) => gained) || !items2.some(({ gained }) => gained)) return null;
  const gains = /* @__PURE__ */ new Map();
  for (const step of items2) {
    const name = itemName(step);
    gains.set(name, (gains.get(name) ?? 0) + (step.gained ? 1 : -1));
  }
  return gains;
};
var itemName = ({ entry }) => `${entry.client} ${latin1(entry.raw, 0, entry.raw.length)}`;

// src/liveindex.js
var LiveIndex = class {
  constructor() {
    this.fields = /* @__PURE__ */ new Map();
    this.root = new Branch(null);
    this.disputes = new Disputes();
    this.live = 0;
    this.noting = false;
    this.steps = [];
    this.shrunk = [];
    this.filled = [];
    this.disputed = [];
    this.unfit = [];
  }
  // Finding
  /**
   * Return a field if it is known.
   *
   * @param {number} code
   * @param {string} name
   */
  find(code, name) {
    return this.fields.get(`${code}${name}`);
  }
  /**
   * Return the cells of a field; the same object for the life of the index.
   *
   * @param {number} code
   * @param {string} name
   * @returns {Cells}
   */
  cells(code, name) {
    const key = `${code}${name}`;
    const found = (
      /** @type {Cells | undefined} */
      this.fields.get(key)
    );
    if (found !== void 0) return found;
    const cells = this.opened(key, new Cells(code, name, this.branch(name)));
    if (code === LISTED) new Order(cells, this.cellsBeside(PLACE, name));
    else if (code === PLACE) new Order(this.cellsBeside(LISTED, name), cells);
    return cells;
  }
  /**
   * @param {number} code
   * @param {string} name
   */
  cellsBeside(code, name) {
    return this.opened(`${code}${name}`, new Cells(code, name, this.branch(name)));
  }
  /**
   * Return the items of a log; the same object for the life of the index.
   *
   * @param {string} name
   * @returns {Items}
   */
  items(name) {
    const key = `${ITEM}${name}`;
    const found = (
      /** @type {Items | undefined} */
      this.fields.get(key)
    );
    return found ?? this.opened(key, new Items(name, this.branch(name)));
  }
  /**
   * @template {Cells | Items} F
   * @param {string} key
   * @param {F} field
   * @returns {F}
   */
  opened(key, field) {
    this.fields.set(key, field);
    field.branch?.fields.add(field);
    return field;
  }
  /**
   * @param {string} name
   * @returns {Branch | null} null at the root, whose fields are in no branch
   */
  branch(name) {
    return name.includes("/") ? this.root.at(name) : null;
  }
  // Following
  /**
   * Take in an entry that became live.
   *
   * @param {Entry} entry
   */
  add(entry) {
    if (entry.kind === ITEM) this.turn(this.items(entry.field), entry, true);
    else {
      const cells = this.cells(entry.kind, entry.field);
      this.put(cells, entry.key, withEntry(cells.at(entry.key), entry));
      this.checkFit(cells, entry);
    }
  }
  /**
   * Note an entry that does not fit its schema.
   *
   * @param {Cells} cells
   * @param {Entry} entry
   */
  checkFit(cells, entry) {
    if (cells.reader !== null && !cells.reader.fits(entry)) this.unfit.push({ cells, key: entry.key });
  }
  /**
   * Forget an entry that is live no more.
   *
   * @param {Entry} entry
   */
  drop(entry) {
    if (entry.kind === ITEM) this.turn(this.items(entry.field), entry, false);
    else {
      const cells = this.cells(entry.kind, entry.field);
      const entries = cells.at(entry.key);
      const left = entries.length === 1 ? NOTHING : entries.filter((other) => other !== entry);
      this.put(cells, entry.key, left);
    }
  }
  /**
   * Replace what a cell holds.
   *
   * @param {Cells} cells
   * @param {string} key
   * @param {readonly Entry[]} entries
   */
  put(cells, key, entries) {
    const before = cells.at(key);
    if (this.noting) this.note(cells, key, before);
    this.live += entries.length - before.length;
    if (cells.isDisputable) {
      if (before.length > 0) this.disputes.supersede(before);
      this.mind(cells, key, before, entries);
    }
    cells.put(key, entries);
  }
  /**
   * What goes is mostly followed by what supersedes it, and of a cell the first step says it all.
   *
   * @param {Cells} cells
   * @param {string} key
   * @param {readonly Entry[]} before
   */
  note(cells, key, before) {
    const last2 = this.steps.at(-1);
    if (last2 !== void 0 && "cells" in last2 && last2.cells === cells && last2.key === key) return;
    this.steps.push({ cells, key, before });
  }
  /**
   * Note what `settle` will have to look at.
   *
   * @param {Cells} cells
   * @param {string} key
   * @param {readonly Entry[]} before
   * @param {readonly Entry[]} entries
   */
  mind(cells, key, before, entries) {
    if (before.length === 0) {
      if (this.disputes.deletions.size > 0) this.filled.push({ cells, key });
    } else if (entries.length === 0 || before.length > 1 && entries.length < before.length) {
      this.shrunk.push({ cells, key, before });
    }
    if (entries.length > 1 && entries.length > before.length) this.disputed.push({ cells, key });
  }
  /**
   * @param {Items} items
   * @param {Entry} entry
   * @param {boolean} gained
   */
  turn(items2, entry, gained) {
    if (gained) items2.add(entry);
    else items2.remove(entry);
    this.live += gained ? 1 : -1;
    if (this.noting) this.steps.push({ items: items2, entry, gained });
  }
  /** Drop every entry; the cells and items handed out stay valid. */
  forgetAll() {
    for (const field of [...this.fields.values()]) {
      if (field instanceof Items) for (const entry of [...field.live]) this.turn(field, entry, false);
      else for (const key of [...field.cells.keys()]) this.put(field, key, NOTHING);
    }
  }
  // Ending a transaction
  /** Take what the steps noted come to. @returns {Step[]} */
  takeSteps() {
    const { steps } = this;
    if (steps.length === 0) return steps;
    this.steps = [];
    return net(steps);
  }
  /** Take back every step noted, the last one first. */
  undo() {
    const { steps } = this;
    this.steps = [];
    this.noting = false;
    for (const step of steps.reverse()) {
      if ("items" in step) this.turn(step.items, step.entry, !step.gained);
      else this.restore(step);
    }
    this.shrunk = [];
    this.filled = [];
    this.disputed = [];
    this.unfit = [];
  }
  /**
   * Put back what a cell held; what it holds was never written, and nothing that could stand in for anything.
   *
   * @param {import('./steps.js').CellStep} step
   */
  restore({ cells, key, before }) {
    this.live += before.length - cells.at(key).length;
    cells.put(key, before);
  }
  /**
   * End a transaction: note deletions and what stands in for what does not fit.
   *
   * @param {() => number | null} deleter who made the deletions, if it is known
   * @param {() => number} now a stamp
   * @returns {Place[]} the cells that came into conflict, or got another rival
   */
  settle(deleter, now) {
    if (this.shrunk.length > 0) this.noteDeletions(deleter, now);
    if (this.unfit.length > 0) this.standIn();
    const { disputed, filled } = this;
    if (disputed.length > 0) this.disputed = [];
    if (filled.length === 0) return disputed;
    this.filled = [];
    return [...disputed, ...filled.filter(({ cells, key }) => this.disputes.written(cells, key))];
  }
  /**
   * @param {() => number | null} deleter
   * @param {() => number} now
   */
  noteDeletions(deleter, now) {
    const { shrunk } = this;
    this.shrunk = [];
    const greatest = /* @__PURE__ */ new Map();
    for (const { cells, key, before } of shrunk) {
      if (cells.cells.has(key)) continue;
      const keys2 = greatest.get(cells) ?? /* @__PURE__ */ new Map();
      if (!(keys2.get(key)?.stamp >= before[0].stamp)) greatest.set(cells, keys2.set(key, before[0]));
    }
    for (const [cells, keys2] of greatest) {
      for (const [key, entry] of keys2) {
        cells.standIns.delete(key);
        this.disputes.deleted({ cells, key, entry, client: deleter(), seenAt: now() });
      }
    }
  }
  /** Keep what a cell held, if nothing that it holds now fits its schema. */
  standIn() {
    const { unfit } = this;
    this.unfit = [];
    for (const { cells, key } of unfit) {
      const { reader } = cells;
      if (reader === null || !cells.isDisputable || this.disputes.isDeleted(cells, key)) continue;
      if (cells.at(key).some(reader.fits)) continue;
      const cell = { kind: cells.code, field: cells.name, key };
      for (const entry of this.disputes.before(cell)) {
        if (!reader.fits(entry)) continue;
        cells.standIns.set(key, entry);
        break;
      }
    }
  }
};

// src/roots.js
var CONSTRUCTORS = {
  text: YText,
  "plain-map": YMap,
  "plain-array": YArray,
  xml: YXmlFragment
};
var Roots = class {
  /**
   * @param {Y.Doc} ydoc
   * @param {string} except the root that is none of ours
   * @param {RootListener} listener
   */
  constructor(ydoc, except, listener) {
    this.ydoc = ydoc;
    this.except = except;
    this.listener = listener;
    this.known = /* @__PURE__ */ new Map();
    this.unclear = /* @__PURE__ */ new Set();
    this.walk = ydoc.share.keys();
    this.met = 0;
    this.discover();
  }
  /**
   * Look for roots that have become known.
   *
   * @returns {RootChange[]} one for each
   */
  discover() {
    const { share } = this.ydoc;
    for (; this.met < share.size; this.met++) this.unclear.add(String(this.walk.next().value));
    if (this.unclear.size === 0) return [];
    this.unclear.delete(this.except);
    const found = [];
    for (const name of [...this.unclear]) {
      const type = (
        /** @type {Y.AbstractType<any>} */
        share.get(name)
      );
      if (this.known.has(name)) this.unclear.delete(name);
      else if (this.open(name, type)) found.push(this.first(name));
    }
    return found;
  }
  /**
   * Return a root text, which becomes part of the document when it is first asked for.
   *
   * @param {string} name
   * @returns {Y.Text}
   * @throws {SchemaError} if the name is that of the lanes, or of a root of another type
   */
  text(name) {
    const known = this.known.get(name);
    if (known?.kind === "text") return known.type;
    if (known?.guessed) this.retract(name);
    else if (name === this.except || known !== void 0) {
      const what = name === this.except ? "this root belongs to the typed cells" : `this root is a ${known?.kind}`;
      throw new SchemaError(what, { subject: name, remedy: "choose another name" });
    }
    const type = this.ydoc.getText(name);
    this.open(name, type);
    return type;
  }
  /**
   * @param {string} name
   * @returns {RootChange} how the root came to be
   */
  first(name) {
    const { kind, type } = (
      /** @type {Root} */
      this.known.get(name)
    );
    const whole2 = this.value(name);
    const value = kind === "text" || kind === "plain-array" ? [{ insert: whole2 }] : whole2;
    return { kind, field: name, key: null, old: void 0, value, clients: clientsOf(type, () => true) };
  }
  /**
   * @param {string} name
   * @param {Y.AbstractType<any>} type
   * @returns {boolean} whether its kind is known
   */
  open(name, type) {
    const kind = kindOf2(type);
    if (kind === null) return false;
    const opened = this.ydoc.get(name, CONSTRUCTORS[kind]);
    const onEvents = (events) => {
      if (!this.listener.listens()) return;
      for (const event of events)
        for (const change of changesOf(kind, name, event)) this.listener.changed(change);
    };
    opened.observeDeep(onEvents);
    this.known.set(name, {
      kind,
      type: opened,
      guessed: opened !== type,
      stop: () => opened.unobserveDeep(onEvents)
    });
    this.unclear.delete(name);
    if (kind === "text") this.listener.foundText(name);
    return true;
  }
  /**
   * Make a root what it was before its content told its kind, so that it can be asked for by another.
   *
   * @param {string} name
   */
  retract(name) {
    const { type, stop } = (
      /** @type {Root} */
      this.known.get(name)
    );
    stop();
    this.known.delete(name);
    const bare = new AbstractType();
    bare._map = type._map;
    bare._start = type._start;
    bare._length = type._length;
    for (const [, first] of bare._map)
      for (let item = (
        /** @type {Y.Item | null} */
        first
      ); item !== null; item = item.left)
        item.parent = bare;
    for (let item = bare._start; item !== null; item = item.right) item.parent = bare;
    this.ydoc.share.set(name, bare);
    bare._integrate(
      this.ydoc,
      /** @type {any} */
      null
    );
  }
  /**
   * Return what a root holds, as plain data.
   *
   * @param {string} name
   * @returns {unknown} undefined if there is no such root
   */
  value(name) {
    const root = this.known.get(name);
    if (root === void 0) return void 0;
    return root.kind === "text" ? root.type.toString() : plain(root.type);
  }
  /** Stop observing the document. */
  destroy() {
    for (const { stop } of this.known.values()) stop();
    this.known.clear();
  }
};
var kindOf2 = (type) => {
  for (const [kind, constructor] of Object.entries(CONSTRUCTORS)) {
    if (type instanceof constructor) return (
      /** @type {RootKind} */
      kind
    );
  }
  for (let item = type._start; item !== null; item = item.right) {
    const kind = kindOfContent(item.content);
    if (kind !== null) return kind;
  }
  return type._map.size > 0 ? "plain-map" : null;
};
var kindOfContent = (content) => {
  if (content instanceof ContentDeleted) return null;
  if (content instanceof ContentString || content instanceof ContentFormat) return "text";
  if (content instanceof ContentEmbed) return "text";
  const xml = content instanceof ContentType && isXml(content.type);
  return xml ? "xml" : "plain-array";
};
var isXml = (type) => type instanceof YXmlFragment || type instanceof YXmlText || type instanceof YXmlHook;
function* changesOf(kind, field, event) {
  const writer = onlyWriter(event.transaction);
  const clients = writer === null ? clientsOf(event.target, (item) => event.adds(item)) : /* @__PURE__ */ new Set([writer]);
  const path = event.path.map(String);
  const where = path.length > 0 ? path.join(".") : null;
  const delta = event.target instanceof YMap ? [] : event.delta;
  if (delta.length > 0 || kind === "xml") {
    yield { kind, field, key: where, old: void 0, value: plainDelta(delta), clients };
  }
  if (!(event.target instanceof YMap)) return;
  for (const [name, { oldValue }] of event.changes.keys) {
    const key = [...path, name].join(".");
    yield { kind, field, key, old: plain(oldValue), value: plain(event.target.get(name)), clients };
  }
}
var clientsOf = (type, wanted) => {
  const clients = /* @__PURE__ */ new Set();
  for (let item = type._start; item !== null; item = item.right) if (wanted(item)) clients.add(item.id.client);
  for (const item of type._map.values()) if (wanted(item)) clients.add(item.id.client);
  return clients;
};
var plainDelta = (delta) => delta.map((step) => Array.isArray(step.insert) ? { insert: step.insert.map(plain) } : { ...step });
var plain = (value) => value instanceof AbstractType ? value.toJSON() : value;

// src/staged.js
var Staged = class {
  constructor() {
    this.doomed = [];
    this.fresh = /* @__PURE__ */ new Set();
    this.texts = /* @__PURE__ */ new Map();
    this.deleted = /* @__PURE__ */ new Map();
  }
  get isEmpty() {
    return this.fresh.size === 0 && this.doomed.length === 0 && this.texts.size === 0;
  }
  /**
   * Delete an entry at the end, or never write it.
   *
   * @param {Entry} entry
   */
  doom(entry) {
    if (!this.fresh.delete(entry)) this.doomed.push(entry);
  }
  /**
   * Return the stamp of what a write of a cell supersedes in the Yjs document, 0 if that is nothing.
   *
   * @param {Cells} cells
   * @param {string} key
   */
  ancestor(cells, key) {
    const [before] = cells.at(key);
    if (before === void 0) return this.deleted.get(cells)?.get(key) ?? 0;
    return this.fresh.has(before) ? before.ancestor : before.stamp;
  }
  /**
   * Note that a cell is about to be deleted: what is written to it next supersedes what it held.
   *
   * @param {Cells} cells
   * @param {string} key
   */
  noteDeletion(cells, key) {
    const stamps = this.deleted.get(cells) ?? /* @__PURE__ */ new Map();
    this.deleted.set(cells, stamps.set(key, this.ancestor(cells, key)));
  }
  /**
   * Do all of it, inside a Yjs transaction.
   *
   * @param {Lanes} lanes
   * @param {number} client
   * @param {string} agent
   */
  write(lanes, client, agent) {
    const texts = [...this.texts.values()];
    const signs = this.fresh.size === 0 && !texts.some((text3) => text3.inserts);
    lanes.write(client, agent, { doomed: this.doomed, fresh: this.fresh, signs });
    for (const text3 of texts) text3.write();
  }
};

// src/livedocument.js
var NOTHING_TOLD = { changes: [], disputed: [] };
var LiveDocument = class {
  /**
   * @param {Doc} ydoc its client id is the session's: one that was never used before
   * @param {Options} [options]
   */
  constructor(ydoc, { agent = "", clock = new HybridClock(Date.now, ydoc.clientID % TICKS_PER_MS), limits = {} } = {}) {
    this.ydoc = ydoc;
    this.agent = agent;
    this.clock = clock;
    this.limits = { ...LIMITS, ...limits };
    this.index = new LiveIndex();
    this.listeners = /* @__PURE__ */ new Set();
    this.disputeListeners = /* @__PURE__ */ new Set();
    this.staged = null;
    this.stale = false;
    this.isDestroyed = false;
    this.rootChanges = [];
    this.news = [];
    this.delivering = false;
    this.lanes = new Lanes(ydoc, {
      added: (entry) => this.enter(entry),
      removed: (entry) => this.index.drop(entry),
      isKnown: (transaction) => transaction.origin === this || this.staged !== null || this.stale
    });
    this.roots = new Roots(ydoc, ROOT, {
      listens: () => this.listeners.size > 0,
      changed: (change) => this.rootChanges.push(change),
      foundText: (name) => this.noteText(name)
    });
    this.index.settle(
      () => null,
      () => 0
    );
    this.onTransaction = this.onTransaction.bind(this);
    this.beforeTransaction = () => this.listen();
    this.deliver = this.deliver.bind(this);
    ydoc.on("beforeTransaction", this.beforeTransaction);
    ydoc.on("afterTransaction", this.onTransaction);
    ydoc.on("afterAllTransactions", this.deliver);
  }
  /** Stop following the document. */
  destroy() {
    this.isDestroyed = true;
    this.ydoc.off("beforeTransaction", this.beforeTransaction);
    this.ydoc.off("afterTransaction", this.onTransaction);
    this.ydoc.off("afterAllTransactions", this.deliver);
    this.lanes.destroy();
    this.roots.destroy();
    this.listeners.clear();
    this.disputeListeners.clear();
  }
  /** This session's Yjs client id. */
  get client() {
    return this.ydoc.clientID;
  }
  /** The agents that wrote, by the client id of their session. @returns {ReadonlyMap<number, string>} */
  get authors() {
    return this.lanes.authors;
  }
  /**
   * Listen to typed changes: all those of one transaction at once, after it. What the document holds already is
   * not reported. A listener may edit: its edits are a transaction of their own. One that throws is reported on the
   * console and hurts nobody.
   *
   * @param {Listener} listener
   * @returns {() => void} stops listening
   */
  observe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
  // Transactions
  /**
   * Group edits into one update: they are seen at once here, and go out together, or not at all if the function
   * throws. A transaction inside another joins it.
   *
   * @template T
   * @param {() => T} edits must not be asynchronous
   * @returns {T} what the function returns
   * @throws {TransactionError} inside a transaction or observer of the Yjs document itself, or if somebody wrote into
   *   the Yjs document itself meanwhile; nothing of this transaction is written then
   */
  transaction(edits) {
    if (this.staged !== null) return edits();
    const staged = this.begin();
    this.index.noting = true;
    try {
      const result = edits();
      this.checkEnded(result);
      this.staged = null;
      this.commit(staged);
      return result;
    } catch (error) {
      if (this.staged !== null) this.rollBack();
      throw error;
    }
  }
  /**
   * Stage an edit in the transaction under way, or make it one of its own. It must have checked everything before
   * it stages anything.
   *
   * @param {(staged: Staged) => void} stage
   */
  edit(stage) {
    if (this.staged !== null) {
      stage(this.staged);
      return;
    }
    const staged = this.begin();
    this.index.noting = this.listeners.size > 0;
    try {
      stage(staged);
    } finally {
      this.staged = null;
    }
    this.commit(staged);
  }
  /** Note steps if anybody wants to hear of them. */
  listen() {
    if (this.staged === null) this.index.noting = this.listeners.size > 0;
  }
  /** @returns {Staged} */
  begin() {
    if (this.isDestroyed) {
      throw new TransactionError("an edit of a document that was closed or replaced", {
        subject: "document",
        remedy: "bind the state anew; nothing was written"
      });
    }
    const { _transaction, _transactionCleanups } = this.ydoc;
    if (_transaction !== null || _transactionCleanups.length > 0) {
      throw new TransactionError("an edit inside a Yjs transaction or observer", {
        subject: "document",
        remedy: "edit outside of it, or use the state's own transaction() and observe()"
      });
    }
    this.staged = new Staged();
    return this.staged;
  }
  /** @param {unknown} result */
  checkEnded(result) {
    if (result instanceof Promise) {
      result.catch(() => {
      });
      throw new TransactionError("an asynchronous function as a transaction", {
        subject: "document",
        remedy: "await first, then edit; nothing typed was written"
      });
    }
    if (this.stale) {
      throw new TransactionError("the Yjs document was written to inside a typed transaction", {
        subject: "document",
        remedy: "edit its own types outside of the state's transaction(); nothing typed was written"
      });
    }
  }
  rollBack() {
    this.staged = null;
    this.index.undo();
    if (this.stale) this.catchUp();
  }
  /** Read the document whole, in place of all that was read before; the difference counts as a change. */
  catchUp() {
    this.stale = false;
    this.listen();
    this.index.forgetAll();
    this.lanes.readAll();
    this.settle(() => null, false);
    this.deliver();
  }
  /** @param {Staged} staged */
  commit(staged) {
    if (staged.isEmpty) {
      this.index.takeSteps();
      return;
    }
    this.ydoc.transact(() => staged.write(this.lanes, this.client, this.agent), this);
  }
  // Events
  /** @param {Entry} entry */
  enter(entry) {
    this.clock.observe(entry.stamp);
    this.index.add(entry);
  }
  /** @param {string} name */
  noteText(name) {
    const branch = this.index.branch(name);
    if (branch !== null) branch.text = name;
  }
  /** @param {Transaction} transaction */
  onTransaction(transaction) {
    for (const change of this.roots.discover()) if (this.listeners.size > 0) this.rootChanges.push(change);
    if (this.staged !== null || this.stale) this.stale ||= transaction.changed.size > 0;
    else this.settle(() => onlyWriter(transaction), transaction.local);
  }
  /**
   * Note what a transaction came to, for those who listen.
   *
   * @param {() => number | null} writer whose the deletions are
   * @param {boolean} local
   */
  settle(writer, local) {
    const places = this.index.settle(writer, () => this.clock.tick());
    const steps = this.index.takeSteps();
    const { changes, disputed } = this.listeners.size > 0 ? this.told(steps, writer, local) : NOTHING_TOLD;
    if (changes.length + disputed.length + places.length > 0) this.news.push({ changes, disputed, places });
  }
  /**
   * @param {import('./steps.js').Step[]} steps
   * @param {() => number | null} writer
   * @param {boolean} local
   * @returns {Omit<News, 'places'>}
   */
  told(steps, writer, local) {
    const { rootChanges } = this;
    this.rootChanges = [];
    const teller = new Teller(steps, writer);
    const told = [...teller.changes(), ...rootChanges.map((change) => rootChange(change, writer))];
    const changes = told.map((change) => ({ ...change, author: this.authorOf(change.client), local }));
    return { changes, disputed: [...teller.quiet].map(({ kind, name }) => ({ kind, name })) };
  }
  /** @param {number | null} client */
  authorOf(client) {
    return client === null ? null : this.authors.get(client) ?? "";
  }
  /** Tell the listeners, in the order of the transactions, also when one of them makes another. */
  deliver() {
    if (this.delivering || this.staged !== null) return;
    this.delivering = true;
    for (let news = this.news.shift(); news !== void 0; news = this.news.shift()) {
      this.tell(news);
    }
    this.delivering = false;
  }
  /** @param {News} news */
  tell({ changes, disputed, places }) {
    if (places.length > 0) for (const listener of [...this.disputeListeners]) safely(() => listener(places));
    if (changes.length + disputed.length === 0) return;
    for (const listener of [...this.listeners]) safely(() => listener(changes, disputed));
  }
};
var safely = (call) => {
  try {
    call();
  } catch (error) {
    console.error("comity: a listener failed", error);
  }
};

// src/reading.js
var CODES = {
  register: REGISTER,
  map: CELL,
  set: ELEMENT,
  counter: COUNTER,
  log: ITEM,
  list: LISTED
};
var SOLE = "";
var storedRivals = /* @__PURE__ */ new WeakMap();
var ReadableDocument = class extends LiveDocument {
  /**
   * List the fields that hold something.
   *
   * @returns {Array<{ kind: Kind | RootKind, name: string }>} by name
   */
  fields() {
    const found = [];
    for (const field of this.index.fields.values()) {
      if (field.size > 0 && !isPlaces(field)) found.push({ kind: field.kind, name: field.name });
    }
    for (const [name, { kind }] of this.roots.known) found.push({ kind, name });
    return found.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : a.kind < b.kind ? -1 : 1);
  }
  /**
   * Read a register.
   *
   * @param {string} name
   * @returns {unknown} undefined if it was never set
   */
  register(name) {
    return this.cells("register", name)?.at(SOLE)[0]?.value;
  }
  /**
   * Read a map.
   *
   * @param {string} name
   * @returns {Map<string, unknown>}
   */
  map(name) {
    return new Map(this.cells("map", name)?.entries());
  }
  /**
   * Read a set.
   *
   * @param {string} name
   * @returns {unknown[]} the elements, each once; an array, because JavaScript's sets compare objects by identity
   */
  set(name) {
    return Array.from(this.cells("set", name)?.entries() ?? [], ([, element2]) => element2);
  }
  /**
   * Read a counter.
   *
   * @param {string} name
   * @returns {number | bigint} a BigInt beyond 2^53 - 1
   */
  counter(name) {
    return this.cells("counter", name)?.total() ?? 0;
  }
  /**
   * Read a log.
   *
   * @param {string} name
   * @returns {unknown[]} the items, in order
   */
  log(name) {
    return this.items(name).map(({ value }) => value);
  }
  /**
   * Read a list.
   *
   * @param {string} name
   * @returns {unknown[]} the items, in order
   */
  list(name) {
    const cells = this.cells("list", name);
    return cells === void 0 ? [] : this.ids(cells).map((id2) => cells.at(id2)[0].value);
  }
  /**
   * Read a text, or another plain root, as plain data.
   *
   * @param {string} name
   * @returns {unknown} undefined if there is none
   */
  root(name) {
    return this.roots.value(name);
  }
  /**
   * Count the live values of a field.
   *
   * @param {Kind} kind
   * @param {string} name
   * @returns {number}
   */
  size(kind, name) {
    return this.index.find(CODES[kind], name)?.size ?? 0;
  }
  /**
   * Read a field with the origin of every value: a map's in the order of their keys, a log's and a list's in their
   * order.
   *
   * @param {Kind} kind
   * @param {string} name
   * @param {{ first?: number, last?: number }} [range] read no more than the first or the last so many
   * @returns {Reading[]}
   */
  readings(kind, name, { first, last: last2 } = {}) {
    const start = last2 === void 0 ? 0 : -last2;
    if (kind === "log") {
      const items2 = this.items(name);
      return (last2 === 0 ? [] : items2.slice(start, first)).map((entry) => this.reading(entry, null, NOTHING));
    }
    const cells = this.cells(kind, name);
    if (cells === void 0 || last2 === 0) return [];
    const keys2 = kind === "list" ? this.ids(cells) : [...cells.cells.keys()].sort();
    return keys2.slice(start, first).map((key) => {
      const entries = cells.at(key);
      return this.reading(
        entries[0],
        shownKey(entries[0]),
        distinct(cells.isDisputable ? entries : NOTHING).slice(1)
      );
    });
  }
  /**
   * List every cell that holds more than one concurrent value, or one whose author did not know it deleted.
   *
   * @returns {Conflict[]}
   */
  conflicts() {
    const fields = [];
    for (const field of this.index.fields.values()) {
      if (!(field instanceof Items) && field.isDisputable) fields.push(field);
    }
    fields.sort((a, b) => a.code - b.code || (a.name < b.name ? -1 : 1));
    return fields.flatMap((cells) => this.conflictsIn(cells));
  }
  /**
   * @param {Cells} cells
   * @returns {Conflict[]} by key
   */
  conflictsIn(cells) {
    return this.index.disputes.keys(cells).flatMap((key) => this.conflictOf(cells, key) ?? []);
  }
  /**
   * @param {Cells} cells
   * @param {string} key
   * @returns {Conflict | null} null if the cell is not in conflict
   */
  conflictOf(cells, key) {
    const dispute = this.index.disputes.look(cells, key);
    if (dispute === null) return null;
    const { kind, entries, deletion, ancestor } = dispute;
    const rivals = entries.map((entry) => this.rival(entry));
    if (deletion !== null) rivals.push(this.deletion(deletion));
    const shown = cells.code === REGISTER ? null : key;
    return { type: cells.kind, field: cells.name, key: shown, rivals, kind, ancestor: ancestor?.value };
  }
  /**
   * @param {Kind} kind
   * @param {string} name
   * @returns {Cells | undefined} undefined if nothing was ever written there
   */
  cells(kind, name) {
    return (
      /** @type {Cells | undefined} */
      this.index.find(CODES[kind], name)
    );
  }
  /**
   * @param {string} name
   * @returns {readonly Entry[]}
   */
  items(name) {
    const items2 = (
      /** @type {Items | undefined} */
      this.index.find(ITEM, name)
    );
    return items2?.list() ?? NOTHING;
  }
  /**
   * @param {Cells} cells those of a list's items
   * @returns {readonly string[]} in order
   */
  ids(cells) {
    return (
      /** @type {import('./cells.js').Order} */
      cells.order.ids
    );
  }
  /**
   * @param {Entry} entry
   * @param {unknown} key
   * @param {readonly Entry[]} rivals
   * @returns {Reading}
   */
  reading(entry, key, rivals) {
    const { value, author, client, at: at2 } = this.rival(entry);
    return { key, value, author, client, at: at2, rivals: rivals.map((other) => this.rival(other)) };
  }
  /**
   * @param {Entry} entry
   * @returns {Rival}
   */
  rival(entry) {
    const { value, client, stamp } = entry;
    const at2 = stamp === 0 ? 0 : stampMs(stamp);
    const rival = { value, author: this.authorOf(client) ?? "", client, stamp, at: at2, deleted: false };
    storedRivals.set(rival, entry.packed);
    return rival;
  }
  /**
   * @param {import('./disputes.js').Deletion} deletion
   * @returns {Rival}
   */
  deletion({ client, seenAt }) {
    const author = this.authorOf(client) ?? "";
    return {
      value: void 0,
      author,
      client: client ?? -1,
      stamp: seenAt,
      at: stampMs(seenAt),
      deleted: true
    };
  }
  /**
   * Return the value of a rival as it is stored.
   *
   * @param {Rival} rival
   * @returns {Uint8Array | undefined} undefined for a deletion
   */
  stored(rival) {
    return storedRivals.get(rival);
  }
  /**
   * Return what is live under a path, whatever its kind.
   *
   * @param {string} name
   * @returns {Array<{ kind: Kind, entries: readonly Entry[] }>}
   */
  entriesAt(name) {
    return Object.values(CODES).flatMap((code) => {
      const field = this.index.find(code, name);
      if (field === void 0) return [];
      return {
        kind: field.kind,
        entries: field instanceof Items ? field.list() : [...field.cells.values()].flat()
      };
    });
  }
};
var isPlaces = (field) => !(field instanceof Items) && field.code === PLACE;

// src/textview.js
var OBJECT_REPLACEMENT = "￼";
var TextView = class {
  /** @param {Y.Text} ytext */
  constructor(ytext) {
    this.ytext = ytext;
    this.edits = [];
    this.length = ytext.length;
    this.copy = null;
    this.copied = 0;
  }
  /** Whether characters come. */
  get inserts() {
    return this.edits.some(({ come }) => come !== "");
  }
  /** @param {TextEdit} edit */
  stage(edit) {
    this.edits.push(edit);
    if (!formats(edit)) this.length += edit.come.length - edit.gone;
  }
  /** Make the edits, inside a Yjs transaction. */
  write() {
    for (const edit of this.edits) make(this.ytext, edit);
  }
  /** The text as it will be. @returns {Y.Text} */
  read() {
    if (this.copy === null) {
      this.copy = new Doc().getText("copy");
      this.copy.applyDelta(this.ytext.toDelta(), { sanitize: false });
    }
    for (; this.copied < this.edits.length; this.copied++) make(this.copy, this.edits[this.copied]);
    return this.copy;
  }
};
var formats = ({ come, attributes }) => come === "" && attributes !== null;
var make = (ytext, edit) => {
  const { at: at2, gone, come, attributes } = edit;
  if (formats(edit)) {
    ytext.format(at2, gone, attributes ?? {});
    return;
  }
  if (gone > 0) ytext.delete(at2, gone);
  if (come !== "") ytext.insert(at2, come, attributes ?? void 0);
};
var charactersOf = (ytext) => {
  const text3 = ytext.toString();
  if (text3.length === ytext.length) return text3;
  const delta = (
    /** @type {TextDelta} */
    ytext.toDelta()
  );
  return delta.map(({ insert }) => typeof insert === "string" ? insert : OBJECT_REPLACEMENT).join("");
};

// src/editing.js
var NAMED = /* @__PURE__ */ new Set([CELL, LISTED, PLACE]);
var EditableDocument = class extends ReadableDocument {
  /** @type {Positions | null} */
  positions = null;
  /**
   * Write a register.
   *
   * @param {string} name
   * @param {unknown} value
   */
  setRegister(name, value) {
    this.write(REGISTER, name, SOLE, value);
  }
  /**
   * Delete what a register holds.
   *
   * @param {string} name
   */
  clearRegister(name) {
    this.replace(this.index.cells(REGISTER, name), SOLE, null);
  }
  /**
   * Write a map cell.
   *
   * @param {string} name
   * @param {string} key
   * @param {unknown} value
   */
  setCell(name, key, value) {
    this.write(CELL, name, key, value);
  }
  /**
   * Delete a map cell.
   *
   * @param {string} name
   * @param {string} key
   */
  deleteCell(name, key) {
    this.replace(this.index.cells(CELL, name), key, null);
  }
  /**
   * Add a set element; added again, it outlives removals that have not seen this.
   *
   * @param {string} name
   * @param {unknown} element
   */
  addElement(name, element2) {
    const entry = elementEntry(name, element2, this.client, this.limits.depth);
    this.replace(this.index.cells(ELEMENT, name), entry.key, entry);
  }
  /**
   * Remove a set element, if it is there: every tag of it that this replica has seen.
   *
   * @param {string} name
   * @param {unknown} element
   */
  discardElement(name, element2) {
    this.replace(this.index.cells(ELEMENT, name), canonical(pack(element2, this.limits.depth)), null);
  }
  /**
   * Add a whole number to a counter; a negative one is subtracted.
   *
   * @param {string} name
   * @param {number} amount
   */
  count(name, amount) {
    const cells = this.index.cells(COUNTER, name);
    const key = String(this.client);
    let [plus, minus] = totalsOf(cells.at(key));
    if (amount > 0) plus += amount;
    else minus -= amount;
    if (Math.max(plus, minus) > Number.MAX_SAFE_INTEGER) {
      throw new InvalidValueError("a counter past 2^53 - 1", {
        subject: name,
        remedy: "count in larger units"
      });
    }
    this.replace(cells, key, counterEntry(name, plus, minus, this.client));
  }
  /**
   * Delete what everybody counted; what is counted meanwhile elsewhere survives, with its session's total.
   *
   * @param {string} name
   */
  resetCounter(name) {
    this.clearCells(this.index.cells(COUNTER, name));
  }
  /**
   * Append an item to a log.
   *
   * @param {string} name
   * @param {unknown} value
   */
  appendItem(name, value) {
    const entry = itemEntry(name, this.clock.tick(), value, this.client, this.limits.depth);
    this.checkEntry(entry);
    this.checkRoom(1);
    this.edit(({ fresh }) => {
      this.index.add(entry);
      fresh.add(entry);
    });
  }
  /**
   * Delete items of a log.
   *
   * @param {readonly Entry[]} entries
   */
  pruneItems(entries) {
    if (entries.length === 0) return;
    const gone = [...entries].reverse();
    this.edit((staged) => {
      for (const entry of gone) {
        this.index.drop(entry);
        staged.doom(entry);
      }
    });
  }
  /**
   * Insert an item into a list, after one position and before another; null stands for an end.
   *
   * @param {string} name
   * @param {string | null} left
   * @param {string | null} right
   * @param {unknown} value
   * @returns {string} its id
   */
  insertItem(name, left, right, value) {
    const id2 = this.position(left, right);
    this.putItem(name, id2, value);
    return id2;
  }
  /**
   * Write an item of a list under its id; a new id is its position.
   *
   * @param {string} name
   * @param {string} id
   * @param {unknown} value
   */
  putItem(name, id2, value) {
    this.write(LISTED, name, id2, value);
  }
  /**
   * Move an item of a list between two positions; null stands for an end.
   *
   * @param {string} name
   * @param {string} id
   * @param {string | null} left
   * @param {string | null} right
   */
  moveItem(name, id2, left, right) {
    this.placeItem(name, id2, this.position(left, right));
  }
  /**
   * Move an item of a list to a position.
   *
   * @param {string} name
   * @param {string} id
   * @param {string} position
   */
  placeItem(name, id2, position) {
    const entry = placeEntry(name, id2, this.clock.tick(), position, this.client);
    this.replace(this.index.cells(PLACE, name), id2, entry);
  }
  /**
   * Remove an item of a list, and its place.
   *
   * @param {string} name
   * @param {string} id
   */
  removeItem(name, id2) {
    this.edit(() => {
      for (const code of [LISTED, PLACE]) this.replace(this.index.cells(code, name), id2, null);
    });
  }
  /**
   * Edit a text.
   *
   * @param {string} name
   * @param {TextEdit} edit
   */
  editText(name, edit) {
    const ytext = this.roots.text(name);
    this.edit(({ texts }) => {
      const view2 = texts.get(name) ?? new TextView(ytext);
      texts.set(name, view2);
      view2.stage(edit);
    });
  }
  /**
   * Return a root text with what is staged for it; it becomes part of the document when it is first asked for.
   *
   * @param {string} name
   * @returns {import('yjs').Text} not to be edited here
   */
  text(name) {
    return this.staged?.texts.get(name)?.read() ?? this.roots.text(name);
  }
  /**
   * Return the length of a root text, in UTF-16 code units.
   *
   * @param {string} name
   * @returns {number}
   */
  textLength(name) {
    return this.staged?.texts.get(name)?.length ?? this.roots.text(name).length;
  }
  /**
   * Return the characters of a root text; an embedded object reads as U+FFFC.
   *
   * @param {string} name
   * @returns {string}
   */
  textValue(name) {
    return charactersOf(this.text(name));
  }
  /**
   * Delete everything that lies at a path and below it, in one transaction.
   *
   * @param {string} path
   */
  deleteAt(path) {
    this.transaction(() => {
      for (const code of [...Object.values(CODES), PLACE]) {
        const field = this.index.find(code, path);
        if (field !== void 0) this.clearField(field);
      }
      if (this.roots.known.get(path)?.kind === "text") this.clearText(path);
      this.deleteBranch(this.index.root.at(path));
    });
  }
  /** @param {string} name */
  clearText(name) {
    const length2 = this.textLength(name);
    if (length2 > 0) this.editText(name, { at: 0, gone: length2, come: "", attributes: null });
  }
  /**
   * Delete everything that lies in a branch, in one transaction.
   *
   * @param {Branch} branch
   */
  deleteBranch(branch) {
    this.transaction(() => {
      for (const { fields, text: text3 } of branch.walk()) {
        for (const field of fields) this.clearField(field);
        if (text3 !== null) this.clearText(text3);
      }
    });
  }
  /** @param {Cells | Items} field */
  clearField(field) {
    if (field instanceof Items) this.pruneItems(field.list());
    else this.clearCells(field);
  }
  /** @param {Cells} cells */
  clearCells(cells) {
    this.transaction(() => {
      for (const key of [...cells.cells.keys()]) this.replace(cells, key, null);
    });
  }
  /**
   * Return a new position between two others; null stands for an end.
   *
   * @param {string | null} left
   * @param {string | null} right
   * @returns {string}
   */
  position(left, right) {
    if (this.positions?.session !== this.client) this.positions = new Positions(this.client);
    return this.positions.between(left, right);
  }
  /**
   * @param {number} code REGISTER, CELL or LISTED
   * @param {string} name
   * @param {string} key
   * @param {unknown} value
   */
  write(code, name, key, value) {
    const cells = this.index.cells(code, name);
    const ancestor = this.staged === null ? cells.at(key)[0]?.stamp ?? 0 : this.staged.ancestor(cells, key);
    const { client, limits } = this;
    this.replace(
      cells,
      key,
      cellEntry(code, name, key, this.clock.tick(), value, ancestor, client, limits.depth)
    );
  }
  /**
   * Supersede what a cell holds by one entry, or by none.
   *
   * @param {Cells} cells
   * @param {string} key
   * @param {Entry | null} entry
   */
  replace(cells, key, entry) {
    const before = cells.at(key);
    if (entry === null) {
      if (before.length === 0) return;
    } else {
      this.checkEntry(entry);
      if (before.length === 0) this.checkRoom(1);
    }
    this.edit((staged) => {
      if (entry === null) staged.noteDeletion(cells, key);
      for (const old of before) staged.doom(old);
      this.index.put(cells, key, entry === null ? NOTHING : [entry]);
      if (entry === null) return;
      staged.fresh.add(entry);
      this.index.checkFit(cells, entry);
    });
  }
  /** @param {Entry} entry */
  checkEntry({ kind, field, key, raw }) {
    const { valueBytes, nameBytes } = this.limits;
    if (raw.length <= valueBytes && 3 * Math.max(field.length, key.length) <= nameBytes) return;
    const sizes = NAMED.has(kind) ? [sizeOf(field), sizeOf(key)] : [sizeOf(field)];
    const longest = Math.max(...sizes);
    if (longest > nameBytes) {
      throw new TooLargeError(`a name of ${longest} bytes, over ${nameBytes}`, {
        subject: field.slice(0, 60),
        remedy: "use a shorter field name or key; nothing was written"
      });
    }
    const size2 = raw.length - sizes.reduce((a, b) => a + b);
    if (size2 > valueBytes) {
      throw new TooLargeError(`a value of ${size2} bytes, over ${valueBytes}`, {
        subject: field,
        remedy: "spread it over several cells, or keep it elsewhere and store where; nothing was written"
      });
    }
  }
  /** @param {number} count */
  checkRoom(count) {
    const { cells } = this.limits;
    if (this.index.live + count <= cells) return;
    throw new TooLargeError(`more than ${cells} live values`, {
      subject: "document",
      remedy: "prune logs or delete what is done with, or spread the state over several rooms"
    });
  }
};
var encoder2 = new TextEncoder();
var sizeOf = (name) => encoder2.encode(name).length;

// src/tickets.js
var TICKETS = "$tickets";
var Ticket = class {
  /**
   * @param {string} id
   * @param {StoredTicket[]} stored
   * @param {(ticket: Ticket, value: unknown) => void} settle
   */
  constructor(id2, stored, settle) {
    const [{ field, key, note, by }] = stored;
    this.id = id2;
    this.field = field;
    this.key = key;
    this.note = note;
    this.by = by;
    this.rivals = rivalsOf(stored);
    this.settle = settle;
  }
  /**
   * Write the value decided on, or delete the cell if it is undefined, and close the ticket.
   *
   * @param {unknown} value
   * @throws {import('./errors.js').InvalidValueError} if the value does not fit the field; the ticket stays open then
   */
  resolve(value) {
    this.settle(this, value);
  }
};
var rivalsOf = (stored) => {
  const known = /* @__PURE__ */ new Map();
  for (const { rivals } of stored) {
    for (const rival of rivals) {
      known.set(nameOf2(rival), { ...rival, value: rival.value, deleted: !("value" in rival) });
    }
  }
  return [...known.values()].sort((a, b) => b.stamp - a.stamp || b.client - a.client);
};
var nameOf2 = ({ stamp, client }) => `${stamp} ${client}`;
var openTicket = (document2, { field, key, rivals }, note) => {
  const place = key === null ? field : child(field, key);
  if (storedTickets(document2, place).some((ticket) => covers(ticket, rivals))) return;
  const stored = rivals.map((rival) => storedRival(document2, rival));
  document2.setCell(TICKETS, place, { field, key, rivals: stored, note, by: document2.agent });
};
var storedRival = (document2, rival) => {
  const { author, client, stamp } = rival;
  const bytes2 = document2.stored(rival);
  return { ...bytes2 === void 0 ? {} : { value: new Packed(bytes2) }, author, client, stamp };
};
var covers = (ticket, rivals) => {
  const known = new Set(ticket.rivals.map(nameOf2));
  return rivals.every((rival) => known.has(nameOf2(rival)));
};
var storedTickets = (document2, place) => {
  const entries = document2.cells("map", TICKETS)?.at(place) ?? [];
  return entries.map(({ value }) => value).filter(isTicket);
};
var openTickets = (document2, write3) => {
  const places = [...document2.cells("map", TICKETS)?.cells.keys() ?? []].sort();
  const settle = (ticket, value) => document2.transaction(() => {
    write3(ticket, value);
    document2.deleteCell(TICKETS, ticket.id);
  });
  return places.flatMap((place) => {
    const stored = storedTickets(document2, place);
    return stored.length > 0 ? new Ticket(place, stored, settle) : [];
  });
};
var settleUndeclared = (document2, { field, key }, value) => {
  const isItem = key !== null && document2.cells("list", field)?.cells.has(key);
  const code = key === null ? REGISTER : isItem ? LISTED : CELL;
  if (value !== void 0) document2.write(code, field, key ?? "", value);
  else if (isItem) document2.removeItem(field, key);
  else document2.replace(document2.index.cells(code, field), key ?? "", null);
};
var isTicket = (value) => typeof value === "object" && value !== null && ["field", "note", "by"].every((name) => typeof value[name] === "string") && (value.key === null || typeof value.key === "string") && Array.isArray(value.rivals) && value.rivals.length > 0 && value.rivals.every(isRival);
var isRival = (value) => typeof value === "object" && value !== null && typeof value.author === "string" && Number.isInteger(value.client) && Number.isInteger(value.stamp);

// src/document.js
var StateDocument = class extends EditableDocument {
  /** Fields whose conflicts become tickets, with the note on these. @type {Map<Cells, string>} */
  watched = /* @__PURE__ */ new Map();
  /**
   * List the disputes that wait for somebody's decision.
   *
   * @returns {Ticket[]} by the paths of their cells
   */
  tickets() {
    return openTickets(this, (ticket, value) => settleUndeclared(this, ticket, value));
  }
  /**
   * From now on open a ticket for every conflict of a field of which one rival is this agent's.
   *
   * @param {Cells} cells
   * @param {string} note
   */
  watchDisputes(cells, note) {
    if (this.watched.size === 0) this.disputeListeners.add((places) => this.openTickets(places));
    this.watched.set(cells, note);
  }
  /** @param {Place[]} places */
  openTickets(places) {
    this.transaction(() => {
      for (const { cells, key } of places) {
        const note = this.watched.get(cells);
        const conflict = note === void 0 ? null : this.conflictOf(cells, key);
        if (conflict?.rivals.some((rival) => this.isMine(rival))) openTicket(this, conflict, note ?? "");
      }
    });
  }
  /** @param {Rival} rival */
  isMine({ client, author }) {
    return client === this.client || author !== "" && author === this.agent;
  }
};
export {
  Connection,
  StateDocument
};
