// Writes docs/api.md from the types and their comments.

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const ROOT = new URL('../', import.meta.url)
const PAGE = new URL('docs/api.md', ROOT)

/** In the order of the page. An export that is missing here is an error, unless it is a type. */
const FUNCTIONS = [
  ...['getSession', 'getSessionJson', 'refreshSession', 'updateSession', 'explainSession'],
  ...['createSession', 'listSessions', 'revokeSession', 'revokeOtherSessions', 'revokeSessions'],
  ...['revokeTenantSessions', 'deleteEndedSessions', 'sealSession', 'defaultBridge', 'versions'],
]
const OPTIONS = ['AuthBridgeOptions', 'SessionCookie', 'Register']

const printer = ts.createPrinter({ removeComments: true })

const main = exportsOf('index.d.ts')
const next = exportsOf('next/index.d.ts')
const nextAuth = exportsOf('next-auth/index.d.ts')

/** The names that have a heading. */
const documented = new Set(
  [...main.keys(), ...next.keys(), ...nextAuth.keys()].filter((name) => !isConstant(next.get(name))),
)

const bridge = /** @type {ts.ClassDeclaration} */ (main.get('AuthBridge'))
const methods = new Map(bridge.members.map((member) => [member.name?.getText() ?? 'constructor', member]))
const types = [...main].filter(([, node]) => isType(node)).map(([name]) => name)
const undocumented = [...main.keys()].filter((name) => ![...FUNCTIONS, ...types, 'AuthBridge'].includes(name))
if (undocumented.length > 0) throw new Error(`not in the list of functions: ${undocumented.join(', ')}`)

/** A constant of the module is documented as the method that it calls. */
function functionOf(/** @type {string} */ name) {
  return isConstant(main.get(name)) ? methods.get(name) : main.get(name)
}

const page = [
  '# API',
  '<!-- Made from the types by `npm run docs`: change their comments instead. -->',
  `The exports of \`authjs-bridge\`, \`authjs-bridge/next\` and \`authjs-bridge/next-auth\`, from their types. Each error has a
\`code\`, one of [\`ErrorCode\`](#errorcode). A request that has no session is never an error.`,
  '## Functions',
  'They are configured by the environment. An [`AuthBridge`](#authbridge) has them as methods, with options of its own.',
  ...FUNCTIONS.flatMap((name) => [`### ${name}`, ...callable(name, functionOf(name))]),
  '## AuthBridge',
  ...commentOf(bridge),
  `Beside the methods that are functions, too - ${FUNCTIONS.filter((name) => methods.has(name))
    .map(link)
    .join(', ')} - it has these:`,
  ...[...methods].flatMap(([name, node]) =>
    FUNCTIONS.includes(name)
      ? []
      : [`### ${name === 'constructor' ? 'new AuthBridge' : name}`, ...callable(name, node)],
  ),
  '## Options',
  ...OPTIONS.flatMap((name) => typeSection(name, main.get(name))),
  '## Types',
  ...types.flatMap((name) => (OPTIONS.includes(name) ? [] : typeSection(name, main.get(name)))),
  ...entryPoint('authjs-bridge/next', next),
  ...entryPoint('authjs-bridge/next-auth', nextAuth),
]
writeFileSync(PAGE, `${page.join('\n\n')}\n`)

/**
 * The exported declarations of a file by name, but for names that begin with underscores.
 *
 * @param {string} file
 */
function exportsOf(file) {
  const path = fileURLToPath(new URL(file, ROOT))
  const { statements } = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true)
  const exported = statements.filter(
    (node) => ts.canHaveModifiers(node) && node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword),
  )
  const named = exported.map((node) => /** @type {const} */ ([nameOf(node), node]))
  return new Map(named.filter(([name]) => !name.startsWith('__')))
}

/** @param {any} node */
function nameOf(node) {
  return (node.name ?? node.declarationList.declarations[0].name).getText()
}

/** @param {ts.Node | undefined} node */
function isType(node) {
  return node !== undefined && (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node))
}

/** @param {ts.Node | undefined} node */
function isConstant(node) {
  return node !== undefined && ts.isVariableStatement(node)
}

/**
 * An entry point: its functions, then its constants, then its types.
 *
 * @param {string} title
 * @param {Map<string, ts.Node>} declarations
 */
function entryPoint(title, declarations) {
  const all = [...declarations]
  const constants = all.filter(([, node]) => isConstant(node))
  return [
    `## ${title}`,
    ...all.flatMap(([name, node]) => (ts.isFunctionDeclaration(node) ? [`### ${name}`, ...callable(name, node)] : [])),
    ...(constants.length > 0 ? [constants.map(([name, node]) => `- \`${name}\`: ${commentOf(node)}`).join('\n')] : []),
    ...all.flatMap(([name, node]) => (isType(node) ? typeSection(name, node) : [])),
  ]
}

/**
 * A function or method: signature, comment, arguments, result, errors.
 *
 * @param {string} name
 * @param {ts.Node | undefined} node
 */
function callable(name, node) {
  if (!node) throw new Error(`no ${name}`)
  const signature = node
    .getText()
    .replace(/^export declare function |^constructor/, (prefix) => (prefix === 'constructor' ? 'new AuthBridge' : ''))
  const tags = ts.getJSDocTags(node)
  const parameters = tags.filter(ts.isJSDocParameterTag).map((tag) => `- \`${tag.name.getText()}\`: ${textOf(tag)}`)
  return [
    code(signature),
    ...commentOf(node),
    ...(parameters.length > 0 ? [parameters.join('\n')] : []),
    ...tags.filter(ts.isJSDocReturnTag).map((tag) => `Returns: ${textOf(tag)}`),
    ...errorsOf(node),
    ...seeAlso(signature),
  ]
}

/**
 * An interface as a list of its members, another type as it is written.
 *
 * @param {string} name
 * @param {ts.Node | undefined} node
 */
function typeSection(name, node) {
  if (!node) throw new Error(`no type ${name}`)
  if (!ts.isInterfaceDeclaration(node)) {
    const text = node.getText().replace(/^export /, '')
    return [`### ${name}`, ...commentOf(node), code(text), ...seeAlso(text, name)]
  }
  const parents = (node.heritageClauses ?? []).flatMap(({ types }) => [...types])
  const bases = parents.map((parent) => parent.expression.getText()).filter((base) => documented.has(base))
  const inherited = parents.flatMap(({ typeArguments }) => [...(typeArguments ?? [])]).filter(ts.isTypeLiteralNode)
  const all = [...inherited.flatMap(({ members }) => [...members]), ...node.members]
  return [
    `### ${name}`,
    ...commentOf(node),
    ...(bases.length > 0 ? [`All of ${bases.map(link).join(', ')}, and:`] : []),
    ...(all.length > 0 ? [members(all)] : []),
  ]
}

/**
 * A list of the members of a type. What is inside of an object is a list below it.
 *
 * @param {readonly ts.TypeElement[]} nodes
 * @returns {string}
 */
function members(nodes) {
  const items = nodes.filter(ts.isPropertySignature).map((node) => {
    const object = node.type && ts.isTypeLiteralNode(node.type) ? node.type : undefined
    const isDocumented = object?.members.some((member) => commentOf(member).length > 0)
    const type = isDocumented ? 'object' : typeText(node.type)
    const named = `\`${node.name.getText()}${node.questionToken ? '?' : ''}: ${type}\``
    const [other] = typesIn(type)
    const head = other ? `[${named}](#${other.toLowerCase()})` : named
    const [first, ...rest] = [...commentOf(node), ...errorsOf(node)]
    // A backslash at the end of a line breaks it.
    const text = [
      first ? `${head}\\\n${first}` : head,
      ...rest,
      ...(object && isDocumented ? [members(object.members)] : []),
    ]
    return `- ${text.join('\n\n').replaceAll(/\n(?=.)/g, '\n  ')}`
  })
  return items.join('\n')
}

/** @param {string} text */
function typesIn(text) {
  const names = [...text.matchAll(/\b[A-Z]\w+/g)].map(([name]) => name)
  return [...new Set(names)].filter((name) => documented.has(name))
}

/**
 * Links to the types in a block of code, which can't have any.
 *
 * @param {string} text
 * @param {string} [own]
 */
function seeAlso(text, own) {
  const names = typesIn(text).filter((name) => name !== own)
  return names.length > 0 ? [`Types: ${names.map(link).join(', ')}`] : []
}

/** @param {ts.TypeNode | undefined} node */
function typeText(node) {
  const text = node ? printer.printNode(ts.EmitHint.Unspecified, node, node.getSourceFile()) : 'unknown'
  return text.replaceAll(/\s+/g, ' ')
}

/** @param {ts.Node} node */
function commentOf(node) {
  const comments = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc)
  return comments.flatMap((comment) => linked(ts.getTextOfJSDocComment(comment.comment) ?? '', node) || [])
}

/** @param {ts.Node} node */
function errorsOf(node) {
  const tags = ts.getJSDocTags(node).filter(ts.isJSDocThrowsTag)
  return tags.map((tag) => `Errors: ${textOf(tag)}`)
}

/** @param {ts.JSDocTag} tag */
function textOf(tag) {
  return linked(ts.getTextOfJSDocComment(tag.comment) ?? '', tag.parent.parent)
}

/**
 * Links the names that have a heading, and pages.
 *
 * @param {string} text
 * @param {ts.Node} node what the text is about, which is not linked
 */
function linked(text, node) {
  const own = node.kind === ts.SyntaxKind.VariableStatement || 'name' in node ? nameOf(node) : ''
  return text
    .replaceAll(/`(\w+)`/g, (whole, name) => (documented.has(name) && name !== own ? link(name) : whole))
    .replaceAll(/`?docs\/([\w-]+)\.md`?/g, '[docs/$1.md]($1.md)')
}

/** @param {string} name */
function link(name) {
  return `[\`${name}\`](#${name.toLowerCase()})`
}

/** @param {string} text */
function code(text) {
  return `\`\`\`ts\n${text}\n\`\`\``
}
