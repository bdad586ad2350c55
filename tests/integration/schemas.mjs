// Validators of what a description of the API says, closed: a member that it does not name is wrong
// too. (The descriptions leave objects open, so that clients accept what is added later.)
import Ajv2020 from 'ajv/dist/2020.js';

export function at(document, ref) {
  return ref.slice(2).split('/').reduce((value, part) => value?.[part.replaceAll('~1', '/').replaceAll('~0', '~')], document);
}

export function resolve(document, value) {
  return value?.$ref === undefined ? value : resolve(document, at(document, value.$ref));
}

// Everything in `value` for which `fits`, with its path.
export function* find(value, fits, path = '#') {
  if (value === null || typeof value !== 'object') return;
  if (fits(value)) yield [path, value];
  for (const [name, inner] of Object.entries(value)) yield* find(inner, fits, `${path}/${name}`);
}

// References are followed and allOf is made one object: there is no recursion in the schemas.
function close(document, schema) {
  const whole = resolve(document, schema);
  if (typeof whole !== 'object' || whole === null) return whole;
  if (Array.isArray(whole)) return whole.map((part) => close(document, part));
  if (whole.allOf !== undefined) {
    const parts = whole.allOf.map((part) => close(document, part));
    if (parts.every(({ properties }) => properties === undefined)) return parts[0];
    return {
      type: 'object', additionalProperties: false,
      required: [...new Set(parts.flatMap(({ required }) => required ?? []))],
      properties: Object.assign({}, ...parts.map(({ properties }) => properties)),
    };
  }
  const closed = { ...whole };
  for (const name of ['items', 'oneOf', 'anyOf']) {
    if (name in closed) closed[name] = close(document, closed[name]);
  }
  if (closed.properties !== undefined) {
    closed.properties = Object.fromEntries(Object.entries(closed.properties).map(([name, inner]) => [name, close(document, inner)]));
    closed.additionalProperties = false;
  }
  return closed;
}

export class Validators {
  constructor(document) {
    this.document = document;
    this.ajv = new Ajv2020({ allErrors: true, strict: true, strictTypes: false, strictRequired: false, allowUnionTypes: true });
    this.made = new Map();
  }

  // What is wrong with `value`; null: nothing.
  problem(schema, value) {
    const key = JSON.stringify(schema);
    if (!this.made.has(key)) {
      const closed = close(this.document, schema);
      if (closed.dependencies !== undefined) {
        closed.dependentRequired = closed.dependencies;
        delete closed.dependencies;
      }
      this.made.set(key, this.ajv.compile(closed));
    }
    const check = this.made.get(key);
    return check(value) ? null : `${this.ajv.errorsText(check.errors)} in ${JSON.stringify(value)}`;
  }
}
