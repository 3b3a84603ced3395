// A schema has the fields of a record in the order of the alphabet. The types of the method have them in their own.

/** The schema of the arguments with everything in the order of the method's parameters. */
export const arrangeParams = (schema, { params }) => record(schema, params);

function record(schema, fields) {
  const properties = fields.map(({ name, type }) => [name, arrange(schema.properties[name], type)]);
  return { ...schema, properties: Object.fromEntries(properties) };
}

function arrange(schema, type) {
  if (type.record) return record(schema, type.record.fields);
  if (type.list) return schema.items ? { ...schema, items: arrange(schema.items, type.list) } : schema;
  if (type.tuple) return { ...schema, prefixItems: schema.prefixItems.map((item, at) => arrange(item, type.tuple[at])) };
  if (type.option) return option(schema, type.option);
  if (type.variant) return cases(schema, type.variant.cases);
  if (type.result) return cases(schema, Object.entries(type.result).map(([name, carried]) => ({ name, type: carried })));
  return schema;
}

function option(schema, carried) {
  const within = (one) => (carried.option ? record(one, [{ name: 'some', type: carried }]) : arrange(one, carried));
  return { ...schema, anyOf: schema.anyOf.map((one) => (one.type === 'null' ? one : within(one))) };
}

function cases(schema, all) {
  const carrying = (one) => all.filter(({ name, type }) => type && one.properties?.[name]);
  return { ...schema, oneOf: schema.oneOf.map((one) => (carrying(one).length ? record(one, carrying(one)) : one)) };
}
