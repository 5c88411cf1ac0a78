package gateway

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// document is a TOML file with the line of each of its keys, so that what is
// wrong with a value can be said with its place.
type document struct {
	name    string
	entries []entry // every key with a value that is no table, in order
	tables  []entry // the headers; value is nil
	lines   map[string]int
}

// entry is one key. Items of arrays of tables count from 0: channel.0.name.
type entry struct {
	key   string
	line  int
	value any
}

// at names a place in a file.
func at(name string, line int) string { return fmt.Sprintf("%s:%d", name, line) }

// parseTOML reads a file whole; name stands in errors.
func parseTOML(name string, data []byte) (*document, error) {
	values := map[string]any{}
	if err := toml.Unmarshal(data, &values); err != nil {
		return nil, tomlError(name, err)
	}
	d := &document{name: name, lines: map[string]int{}}
	w := &walker{document: d, arrays: map[string]int{}, values: values}
	w.parser.Reset(data)
	for w.parser.NextExpression() {
		w.expression(w.parser.Expression())
	}
	if err := w.parser.Error(); err != nil {
		return nil, tomlError(name, err)
	}
	return d, nil
}

// tomlError puts file and line before what the library says.
func tomlError(name string, err error) error {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		var all []error
		for _, e := range strict.Errors {
			row, _ := e.Position()
			all = append(all, fmt.Errorf("%s: %s: there is no such key", at(name, row), strings.Join(e.Key(), ".")))
		}
		return errors.Join(all...)
	}
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		row, _ := e.Position()
		return fmt.Errorf("%s: %s", at(name, row), strings.TrimPrefix(e.Error(), "toml: "))
	}
	return fmt.Errorf("%s: %w", name, err)
}

// walker follows the expressions of a file and notes where each key stands.
type walker struct {
	document *document
	parser   unstable.Parser
	prefix   string
	arrays   map[string]int // items seen of each array of tables
	values   map[string]any
}

func (w *walker) expression(node *unstable.Node) {
	switch node.Kind {
	case unstable.Table:
		w.prefix = w.place("", node.Key())
		w.header(node)
	case unstable.ArrayTable:
		name := w.arrayName(node.Key())
		w.arrays[name]++
		w.prefix = name + "." + strconv.Itoa(w.arrays[name]-1)
		w.header(node)
	case unstable.KeyValue:
		w.keyValue(w.prefix, node)
	}
}

func (w *walker) header(node *unstable.Node) {
	line := w.line(node)
	w.document.lines[w.prefix] = line
	w.document.tables = append(w.document.tables, entry{key: w.prefix, line: line})
}

func (w *walker) keyValue(prefix string, node *unstable.Node) {
	key, line := w.place(prefix, node.Key()), w.line(node)
	w.document.lines[key] = line
	if v := node.Value(); v.Kind == unstable.InlineTable {
		for it := v.Children(); it.Next(); {
			w.keyValue(key, it.Node())
		}
		return
	}
	w.document.entries = append(w.document.entries, entry{key: key, line: line, value: w.value(key)})
}

// place joins a key's parts below prefix; a part that is an array of tables
// stands for its last item (TOML 1.0, Array of Tables).
func (w *walker) place(prefix string, parts unstable.Iterator) string {
	for parts.Next() {
		prefix = join(prefix, string(parts.Node().Data))
		if n := w.arrays[prefix]; n > 0 {
			prefix += "." + strconv.Itoa(n-1)
		}
	}
	return prefix
}

// arrayName is place, but for the last part, which names the array itself.
func (w *walker) arrayName(parts unstable.Iterator) string {
	name := ""
	for parts.Next() {
		if n := w.arrays[name]; n > 0 {
			name += "." + strconv.Itoa(n-1)
		}
		name = join(name, string(parts.Node().Data))
	}
	return name
}

func join(prefix, part string) string {
	if prefix == "" {
		return part
	}
	return prefix + "." + part
}

// line finds where an expression's key begins.
func (w *walker) line(node *unstable.Node) int {
	it := node.Key()
	it.Next()
	return w.parser.Shape(it.Node().Raw).Start.Line
}

// value finds what a key was set to.
func (w *walker) value(key string) any {
	var current any = w.values
	for part := range strings.SplitSeq(key, ".") {
		switch v := current.(type) {
		case map[string]any:
			current = v[part]
		case []any:
			i, _ := strconv.Atoi(part)
			if i >= len(v) {
				return nil
			}
			current = v[i]
		default:
			return nil
		}
	}
	return current
}
