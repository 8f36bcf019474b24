/**
 * Code of JavaScript and TypeScript, and the loops of C++ and Java, as Python: blocks become indented, and declarations and types go. Functions with a
 * block in the middle of an expression become functions with names before the statement.
 */

/** What only languages with braces have. */
const sign =
  /=>|===|\+\+|\bfunction\b|\b(?:const|let|var|double|float|auto)\b[\s\S]*=|\bMath\.|\bfor\s*\(|\bnew\s+\w|\?(?![.?])/;

/** What only Python has: a colon at the end of a line, and statements and functions without parentheses. */
const ofPython = /:[ \t]*(?:#.*)?$|\blambda\b|\bdef\s|^\s*(?:from|import)\s+\w+(?:\.\w+)*(?:\s+as\b|\s+import\b|\s*$)/m;

/** True for code of JavaScript, TypeScript, C++ or Java. */
function isLikeC(code: string): boolean {
  return sign.test(code) && !ofPython.test(code);
}

const type =
  '(?:number|boolean|any|void|Matrix|Vector|(?:Readonly)?Array<[^=;{}]*?>|Float\\d+Array|(?:tf\\.)?Tensor\\w*)';

/** Annotations of parameters, variables and results. */
const annotation = new RegExp(
  `(?<=[\\w)])\\s*\\??:\\s*(?:readonly\\s+)?${type}(?:\\[\\])*(?=\\s*(?:[,)={;]|=>|$))`,
  'gm',
);

/** What begins a declaration, in all of these languages. */
const declared =
  /^(?:(?:export|default|public|private|protected|static|final|async|const|let|var|auto|unsigned|int|long|float|double|bool|size_t|void|(?:std::)?vector<[^=;()]*>|(?:double|float|int)(?:\[\])+)(?:\s*[&*])?\s+)+(?=[A-Za-z_[{])/;

function withoutTypes(code: string): string {
  return (
    code
      .replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '')
      .replace(annotation, '')
      .replace(/\s+as\s+(?:const|number|any)(?:\[\])*/g, '')
      .replace(/(?<=[\w\])])!(?!=)/g, '')
      .replace(/\((?:double|float|int)\)(?=[\w(])/g, '')
      .replace(
        /\b(?:std::)?vector<[^;()]*>\s+(\w+)\(((?:[^,;(){}]|\(\))*)(?:,[^;{}]*)?\)\s*(?=;)/g,
        'auto $1 = zeros($2)',
      )
      .replace(/\b[mM]atrix\w*\s+(\w+)\(([^;(){}]*)\)\s*(?=;)/g, 'auto $1 = zeros($2)')
      // Entries of a matrix with an operator of their own.
      .replace(/(?<![\w.])(\w+)\(([i-n]|row|col),\s*([i-n]|row|col)\)/g, '$1[$2, $3]')
      .replace(/(\w+)\s*:\s*function\s*(?=\()/g, 'function $1')
      .replace(
        /\bnew\s+(?:double|float|int)((?:\[[^\]]*\])+)/g,
        (_, sizes: string) => `zeros(${sizes.slice(1, -1).split('][').join(', ')})`,
      )
      .replace(/(?<=\b\w*Array)<[^()]*?>(?=\()/g, '')
      .replace(/\bnew\s+(?=\w+\()|\bawait\s/g, '')
  );
}

/** Operators and calls that are written otherwise in Python. */
function inPython(text: string): string {
  return text
    .replace(/([=!]=)=/g, '$1')
    .replace(/&&/g, ' and ')
    .replace(/\|\||\?\?/g, ' or ')
    .replace(/!(?=[\w(])/g, ' not ')
    .replace(/\?\./g, '.')
    .replace(/\bMath\.(max|min)(?:\.apply\(\w+,|\(\s*\.\.\.)/g, '$1(')
    .replace(/\bMath\.(max|min)\(/g, '$1imum(')
    .replace(/\bArray\.from\(\{\s*length(?::\s*([^{}]*?))?\s*\}\s*,/g, (_, size = 'length') => `range(${size}).map(`)
    .replace(/\bArray\.from\(/g, 'array_from(')
    .replace(/\[\s*\.\.\.([\w.]+(?:\([^()]*\))?)\s*\]/g, 'array_from($1)')
    .replace(/\.\.\.(?=\w)/g, '')
    .replace(/\.(?:[gG]etSize|[sS]ize|[lL]ength|Count)(?:\(\))?(?![\w(])/g, '.length');
}

/** Calls of tensors of C++, which have operators. */
const ofTensors = /\b(?:arma|Eigen|torch|xt)::|\.array\(\)/;

/** True for code in which operators take numbers and no arrays. */
export function isOfNumbers(code: string): boolean {
  return isLikeC(code) && !ofTensors.test(code);
}

/** Code as Python; that of other languages than these as it is. */
export function asPython(source: string): string {
  if (!isLikeC(source)) return source;
  const code = withoutTypes(source);
  const lines: string[] = [];
  let next = 0;
  let functions = 0;

  const emit = (depth: number, text: string) => {
    const statement = inPython(text.trim());
    // A name alone is a field or a variable without a value.
    if (/\w\W|\W\w|^(?:break|continue|return)$/.test(statement))
      lines.push(' '.repeat(depth) + statement.replace(/\s+/g, ' '));
  };
  const skip = (pattern: RegExp): string => {
    const [found = ''] = new RegExp(pattern.source, 'y').exec(code.slice(next)) ?? [];
    next += found.length;
    return found;
  };

  /** What is between the brackets that open here. */
  function bracketed(): string {
    const start = ++next;
    for (let depth = 1; next < code.length && depth > 0; next++) {
      if ('([{'.includes(code.charAt(next))) depth++;
      else if (')]}'.includes(code.charAt(next))) depth--;
    }
    return code.slice(start, next - 1);
  }

  /** The block in braces, or the one statement, of a header. */
  function body(depth: number, header: string): void {
    emit(depth, header);
    skip(/\s*/);
    if (code.charAt(next) === '{') {
      next++;
      block(depth + 1);
    } else statement(depth + 1);
  }

  function block(depth: number): void {
    for (;;) {
      skip(/[\s;]*/);
      if (next >= code.length) return;
      if (code.charAt(next) === '}') {
        next++;
        return;
      }
      statement(depth);
    }
  }

  function statement(depth: number): void {
    skip(/\s*/);
    const word = skip(/(?:for|while|else\s+if|if|else)\b\s*/)
      .trim()
      .replace(/\s+/g, ' ');
    if (word === 'else') body(depth, 'else:');
    else if (word === '' || code.charAt(next) !== '(') simple(depth, expressionTo(depth));
    else {
      const inner = bracketed();
      const [before, header] = word === 'for' ? loopOf(inner) : [[], `${word === 'else if' ? 'elif' : word} ${inner}:`];
      for (const one of before) emit(depth, one);
      body(depth, header);
      // The other branch of a condition within a loop without braces.
      if (word.endsWith('if') && skip(/[\s;]*(?=else\b)/) !== '') statement(depth);
    }
  }

  /** A statement that is no loop and no condition, or the header of a function or a class. */
  function simple(depth: number, rest: string): void {
    const [, name, parameters] = /^(?:[\w:<>,&*\s[\]]+\s)?(\w+)\s*\(([^()]*)\)$/.exec(rest) ?? [];
    const [, over = '', item = '', index, loop] =
      /^(\S+)\.forEach\(\s*\(?(\w+)(?:,\s*(\w+))?\)?\s*=>\s*([^{].*)\)$/s.exec(rest) ?? [];
    if (name !== undefined && code.charAt(next) === '{') body(depth, `def ${name}(${namesIn(parameters)}):`);
    else if (/^(?:[a-z]+\s+)*class\b/.test(rest)) body(depth, 'class Layer:');
    else if (loop !== undefined) {
      emit(depth, loopOver(over, `${item}${index === undefined ? '' : `, ${index}`}`));
      emit(depth + 1, written(loop));
    } else if (!/^(?:import|export\s*\{|console|throw|using|#|package|assert)\b/.test(rest)) {
      const plain = rest.replace(declared, '');
      for (const one of plain === rest ? [plain] : split(plain)) emit(depth, written(one));
    }
  }

  /** The text up to the end of a statement, or to the brace of its block. Blocks of functions within it become functions before it. */
  function expressionTo(depth: number): string {
    let text = '';
    let open = 0;
    while (next < code.length) {
      const character = code.charAt(next);
      if (character === '{') {
        const [whole, list, one] =
          /(?:\(([^()]*)\)|(\w+))\s*=>\s*$/.exec(text) ??
          /function\s*\w*\s*\(([^()]*)\)\s*$/.exec(open > 0 || text.includes('=') ? text : '') ??
          [];
        const [loop, over = ''] = /^(.*)\.forEach\($/s.exec(text.slice(0, text.length - (whole ?? '').length)) ?? [];
        if (whole !== undefined && loop !== undefined) {
          body(depth, loopOver(over, namesIn(list ?? one)));
          skip(/\s*\)\s*;?/);
          return '';
        }
        if (whole !== undefined) {
          const name = `function${functions++}`;
          body(depth, `def ${name}(${namesIn(list ?? one)}):`);
          text = text.slice(0, -whole.length) + name;
          continue;
        }
        if (open === 0 && (/\)\s*$/.test(text) || /\bclass\b/.test(text)) && !/=|^return\b/.test(text))
          return text.trim();
        text += `{${bracketed()}}`;
        continue;
      }
      if (character === '}' && open === 0) break;
      if ('(['.includes(character)) open++;
      else if (')]'.includes(character)) open--;
      next++;
      if (open <= 0 && character === ';') break;
      if (open <= 0 && character === '\n' && text.trim() !== '' && !continues(text)) break;
      text += character;
    }
    return text.trim();
  }

  /** True if a statement goes on in the next line. */
  function continues(text: string): boolean {
    const after = code.slice(next).trimStart();
    return /(?:[-+*/%=?:&|,.(<>]|\breturn)\s*$/.test(text) || /^(?:[-+*/%?:&|,.)=]|\{)/.test(after);
  }

  block(0);
  while (next < code.length) {
    next++;
    block(0);
  }
  const whole = lines.join('\n');
  // An array that nothing is pushed to grows by its index: it begins as zeros.
  return lines
    .filter((line) => {
      const [, name] = /^ *(\w+(?:\[\w+\])?) = \[\]$/.exec(line) ?? [];
      return name === undefined || whole.includes(`${name}.push(`);
    })
    .join('\n');
}

/** The names of parameters: the last word of each, without its default. */
function namesIn(parameters = ''): string {
  return parameters
    .split(',')
    .map((one) => /(\w+)\s*(?:=.*|\[\])*$/.exec(one.trim())?.[1] ?? '')
    .join(', ');
}

/** The header of a loop over items, whose names are those of the item and of its index. */
function loopOver(values: string, names: string): string {
  const [item = '', index] = names.split(', ');
  return index === undefined ? `for ${item} in ${values}:` : `for ${index}, ${item} in enumerate(${values}):`;
}

/** Statements before a loop, and its header. */
function loopOf(inner: string): readonly [readonly string[], string] {
  const [first = '', condition, step] = inner.split(';').map((one) => one.trim());
  if (condition === undefined || step === undefined) {
    const [, names = '', kind, values = ''] =
      /^(?:.*[\s&*])?(\w+|\[[^\]]*\])\s*(\bof\b|\bin\b|:)\s*(.+)$/s.exec(inner.trim()) ?? [];
    const ofEntries = /^(.*)\.entries\(\)$/.exec(values)?.[1];
    const over = ofEntries !== undefined ? `enumerate(${ofEntries})` : kind === 'in' ? `range(len(${values}))` : values;
    return [[], `for ${names.replace(/[[\]]/g, '')} in ${over}:`];
  }
  const [start = '', ...others] = split(first.replace(declared, ''));
  const [, name = '', from = ''] = /^(\w+)\s*=\s*(.+)$/.exec(start) ?? [];
  const [, compared, end = ''] = new RegExp(`^${name}\\s*(<=?|!==?)\\s*(.+)$`).exec(condition) ?? [];
  const byOne = new RegExp(`^(?:\\+\\+${name}|${name}\\s*\\+\\+|${name}\\s*\\+=\\s*1)$`).test(step);
  const header =
    byOne && compared !== undefined
      ? `for ${name} in range(${from}, ${end}${compared === '<=' ? ' + 1' : ''}):`
      : 'while:';
  return [others, header];
}

/** A text split at the commas outside of its brackets. */
function split(text: string): readonly string[] {
  const parts = [''];
  let depth = 0;
  for (const character of text) {
    if ('([{'.includes(character)) depth++;
    else if (')]}'.includes(character)) depth--;
    if (character === ',' && depth === 0) parts.push('');
    else parts.push((parts.pop() ?? '') + character);
  }
  return parts;
}

/** A statement of its own, without blocks. */
function written(text: string): string {
  const [, values] = /^return\s*\{([^{}]*)\}$/.exec(text.trim()) ?? [];
  if (values !== undefined) {
    const named = split(values).map((one) => one.replace(/^\s*\w+\s*:/, ''));
    return `return (${named.filter((one) => one.trim() !== '').join(', ')})`;
  }
  return text.replace(/^\s*(?:\+\+(\w+)|(\w+)\+\+)\s*$/, '$1$2 += 1');
}
