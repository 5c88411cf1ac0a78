package message

import "strings"

// Bounds of a style attribute.
const (
	maxStyleBytes = 4 << 10
	maxStyleDecls = 60
)

// cleanStyle keeps the declarations of a style attribute whose property is on
// the list and whose value can do nothing but look: no escapes, no functions
// but colours, nothing negative. It is stable: doing it twice changes nothing.
func cleanStyle(s string) string {
	if len(s) > maxStyleBytes || strings.ContainsAny(s, "\\@{}<>") || strings.Contains(s, "/*") {
		return ""
	}
	out := make([]byte, 0, len(s))
	n := 0
	for decl := range strings.SplitSeq(s, ";") {
		property, value, ok := strings.Cut(decl, ":")
		property = strings.ToLower(strings.TrimSpace(property))
		if value = strings.TrimSpace(value); strings.ContainsAny(value, "\t\r\n\f") || strings.Contains(value, "  ") {
			value = strings.Join(strings.Fields(value), " ")
		}
		if !ok || !properties[property] || !isStyleValue(property, value) {
			continue
		}
		if n++; n > maxStyleDecls {
			break
		}
		if len(out) > 0 {
			out = append(out, ';')
		}
		out = append(append(out, property...), ':')
		out = append(out, value...)
	}
	return string(out)
}

// isStyleValue tells that a value is made of words, numbers, colours and
// quoted names only.
func isStyleValue(property, value string) bool {
	if value == "" || len(value) > 200 {
		return false
	}
	lower := strings.ToLower(value)
	var quote byte
	for i := 0; i < len(lower); i++ {
		c := lower[i]
		switch {
		case c == '\'' || c == '"':
			if quote == 0 {
				quote = c
			} else if quote == c {
				quote = 0
			}
		case c == '(':
			if quote != 0 || !isColourFunction(lower[:i]) {
				return false
			}
		case c == '-' && i+1 < len(lower) && (lower[i+1] >= '0' && lower[i+1] <= '9' || lower[i+1] == '.'):
			if i == 0 || lower[i-1] == ' ' || lower[i-1] == ',' {
				return false // pulls content over its neighbours
			}
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c >= 128, strings.IndexByte(" #%.,-+!)/_", c) >= 0:
		default:
			return false
		}
	}
	return quote == 0 && (property != "display" || isDisplay(lower))
}

func isColourFunction(before string) bool {
	for _, f := range [...]string{"rgb", "rgba", "hsl", "hsla"} {
		if rest, ok := strings.CutSuffix(before, f); ok && (rest == "" || rest[len(rest)-1] == ' ' || rest[len(rest)-1] == ',') {
			return true
		}
	}
	return false
}

func isDisplay(value string) bool {
	value = strings.TrimSpace(strings.TrimSuffix(value, "!important"))
	switch value {
	case "block", "inline", "inline-block", "list-item", "none":
		return true
	}
	return strings.HasPrefix(value, "table")
}

// properties is the list of what a style may set. It is never written to.
var properties = makeProperties(`
	color background background-color
	font font-family font-size font-style font-variant font-weight font-stretch
	text-align text-decoration text-decoration-line text-decoration-color text-decoration-style text-indent
	text-transform line-height letter-spacing word-spacing white-space word-break word-wrap overflow-wrap
	vertical-align direction
	margin margin-top margin-right margin-bottom margin-left
	padding padding-top padding-right padding-bottom padding-left
	border border-top border-right border-bottom border-left
	border-color border-top-color border-right-color border-bottom-color border-left-color
	border-style border-top-style border-right-style border-bottom-style border-left-style
	border-width border-top-width border-right-width border-bottom-width border-left-width
	border-radius border-collapse border-spacing
	width height max-width max-height min-width min-height box-sizing
	display float clear table-layout caption-side empty-cells
	list-style list-style-type list-style-position`)

func makeProperties(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}
