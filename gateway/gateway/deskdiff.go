package gateway

import (
	"fmt"
	"slices"
	"strings"
)

// difference gathers what is to change in one thing, as lines for a person.
type difference struct {
	kind, name string
	added      bool
	lines      []string
}

// changed tells whether the thing must be written.
func (d *difference) changed() bool { return d.added || len(d.lines) > 0 }

// text gives the lines: one for a new thing, one a field for a known one.
func (d *difference) text() []string {
	if d.added {
		return []string{fmt.Sprintf("+ %s %s", d.kind, d.name)}
	}
	lines := make([]string, len(d.lines))
	for i, line := range d.lines {
		lines[i] = fmt.Sprintf("~ %s %s: %s", d.kind, d.name, line)
	}
	return lines
}

func (d *difference) note(field string, from, to any) {
	d.lines = append(d.lines, fmt.Sprintf("%s: %s -> %s", field, shown(from), shown(to)))
}

// shown writes a value for a person.
func shown(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case []string:
		return "[" + strings.Join(v, ", ") + "]"
	case *int:
		if v == nil {
			return "always"
		}
		return fmt.Sprint(*v)
	}
	return fmt.Sprint(v)
}

// setField takes over what the file says, if it says something else.
func setField[T comparable](d *difference, field string, have *T, want *T) {
	if want == nil || *have == *want {
		return
	}
	d.note(field, *have, *want)
	*have = *want
}

// setList is setField for a list; the order counts.
func setList(d *difference, field string, have *[]string, want *[]string) {
	if want == nil || slices.Equal(*have, *want) {
		return
	}
	d.note(field, *have, *want)
	*have = slices.Clone(*want)
}

// setLink is setField for the id of something that the file names: find gives
// the id of a name, name the name of an id. An empty name clears it.
func setLink(d *difference, field string, have *string, want *string, find func(string) string, name func(string) string) {
	if want == nil {
		return
	}
	id := ""
	if *want != "" {
		id = find(*want)
	}
	if id == *have {
		return
	}
	d.note(field, name(*have), *want)
	*have = id
}
