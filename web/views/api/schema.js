// JSON schemas in words: what a value is, and what an object holds. Pure.

/** @typedef {Record<string, any>} Schema */
/** @typedef {string | {ref: string}} Piece a word, or the name of a schema that is described elsewhere */

/** How deep schemas within schemas are told. */
const DEEPEST = 6;

/**
 * The name in a reference such as `#/components/schemas/Name`.
 * @param {string} ref
 */
export const nameOf = (ref) => ref.split("/").at(-1) ?? ref;

/**
 * Words with something between them.
 * @param {Piece[][]} lists
 * @param {string} between
 * @returns {Piece[]}
 */
const joined = (lists, between) => lists.flatMap((list, at) => (at ? [between, ...list] : list));

/**
 * What a value is.
 * @param {Schema | boolean | undefined} schema
 * @param {number} [depth]
 * @returns {Piece[]}
 */
export function typeOf(schema, depth = 0) {
  if (!schema || schema === true || depth > DEEPEST) return ["anything"];
  if (schema.$ref) return [{ ref: nameOf(schema.$ref) }];
  const inner = (/** @type {Schema} */ part) => typeOf(part, depth + 1);
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.enum) return [schema.enum.map((/** @type {unknown} */ value) => JSON.stringify(value)).join(" | ")];
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) {
    // What may be absent is told last.
    const sorted = [...choices].sort((a, b) => Number(a.type === "null") - Number(b.type === "null"));
    return joined(sorted.map(inner), " or ");
  }
  if (schema.allOf) return joined(schema.allOf.map(inner), " with ");
  const types = Array.isArray(schema.type) ? schema.type : [schema.type ?? (schema.properties ? "object" : "anything")];
  return joined(types.map((type) => one(schema, type, inner)), " or ");
}

/**
 * @param {Schema} schema
 * @param {string} type
 * @param {(part: Schema) => Piece[]} inner
 * @returns {Piece[]}
 */
function one(schema, type, inner) {
  if (type === "array") return ["list of ", ...inner(schema.items)];
  if (type === "object" && schema.additionalProperties && schema.additionalProperties !== true) {
    return ["object of ", ...inner(schema.additionalProperties)];
  }
  if (type === "string" && schema.format) return [`string (${schema.format})`];
  return [type];
}

/**
 * The bounds of a value, in words.
 * @param {Schema | undefined} schema
 */
export function boundsOf(schema) {
  if (!schema) return "";
  const { minimum, maximum, minLength, maxLength, minItems, maxItems, pattern } = schema;
  const parts = [range(minimum, maximum, ""), range(minLength, maxLength, " characters"), range(minItems, maxItems, " items")];
  if (pattern) parts.push(`like ${pattern}`);
  if (schema.default !== undefined && schema.default !== null) parts.push(`default ${JSON.stringify(schema.default)}`);
  return parts.filter(Boolean).join("; ");
}

/** @param {number | undefined} least @param {number | undefined} most @param {string} unit */
function range(least, most, unit) {
  if (least !== undefined && most !== undefined) return `${least} to ${most}${unit}`;
  if (most !== undefined) return `at most ${most}${unit}`;
  return least ? `at least ${least}${unit}` : "";
}

/**
 * What an object holds, with that of its parts.
 * @param {Schema | undefined} schema
 * @returns {{name: string, schema: Schema, required: boolean}[]}
 */
export function fieldsOf(schema) {
  if (!schema) return [];
  const required = new Set(schema.required ?? []);
  const own = Object.entries(schema.properties ?? {}).map(([name, field]) => ({ name, schema: /** @type {Schema} */ (field), required: required.has(name) }));
  return [...(schema.allOf ?? []).flatMap(fieldsOf), ...own];
}

/**
 * The operations of a description, in the order of its paths.
 * @param {any} api
 */
export function operationsOf(api) {
  const methods = ["get", "post", "put", "patch", "delete"];
  return Object.entries(api.paths ?? {}).flatMap(([path, item]) =>
    methods
      .filter((method) => /** @type {any} */ (item)[method])
      .map((method) => {
        const operation = /** @type {any} */ (item)[method];
        const parameters = [.../** @type {any} */ (item.parameters ?? []), ...(operation.parameters ?? [])];
        return { ...operation, method, path, parameters, id: operation.operationId ?? `${method}${path}`.replace(/\W+/g, "-"), tag: operation.tags?.[0] ?? "other" };
      }),
  );
}
