package message

import (
	"strconv"
	"strings"
)

// Bounds of the parameters of one field.
const (
	maxParams     = 200
	maxParamIndex = 100 // continuations of RFC 2231
	maxParamBytes = 16 << 10
)

// structured is a Content-Type or Content-Disposition: a token and parameters.
type structured struct {
	value     string // lower case
	params    []param
	ambiguous bool // a parameter is said twice, differently
}

// param is one parameter. ext tells that it came in the form of RFC 2231 (and
// is decoded); the plain form may stand beside it.
type param struct {
	name, value string
	ext         bool
}

// parseStructured reads such a field as mailers write it: missing semicolons,
// unquoted blanks, quotes that never close, comments. It never fails.
func parseStructured(s string) structured {
	var out structured
	s = strings.TrimSpace(s)
	end := strings.IndexAny(s, "; \t(\r\n")
	if end < 0 {
		end = len(s)
	}
	out.value = strings.ToLower(Clean(strings.Trim(s[:end], `"'`)))
	p := paramReader{s: s[end:]}
	p.skipComment()
	for p.next() && len(out.params) < maxParams {
		out.add(p.name, p.value)
	}
	out.join(p.pieces)
	return out
}

func (v *structured) add(name, value string) {
	for _, known := range v.params {
		if known.name == name && !known.ext {
			v.ambiguous = v.ambiguous || known.value != value
			return
		}
	}
	v.params = append(v.params, param{name: name, value: value})
}

// get returns the parameter, in its RFC 2231 form if it has one.
func (v *structured) get(name string) string {
	plain, ext := v.forms(name)
	if ext != "" {
		return ext
	}
	return plain
}

func (v *structured) forms(name string) (plain, ext string) {
	for _, p := range v.params {
		if p.name != name {
			continue
		}
		if p.ext {
			ext = p.value
		} else {
			plain = p.value
		}
	}
	return plain, ext
}

// word returns a parameter that can only be a word, such as charset.
func (v *structured) word(name string) string {
	s := v.get(name)
	if i := strings.IndexAny(s, " \t;(,"); i >= 0 {
		s = s[:i]
	}
	return strings.Trim(s, `"'`)
}

// piece is one part of a parameter in the form of RFC 2231.
type piece struct {
	name    string
	index   int
	encoded bool
	value   string
}

// join puts the pieces of each parameter together, in order, as far as there
// is no gap.
func (v *structured) join(pieces []piece) {
	for len(pieces) > 0 {
		name := pieces[0].name
		var slots [maxParamIndex]*piece
		rest := pieces[:0:0]
		for i := range pieces {
			if p := &pieces[i]; p.name != name {
				rest = append(rest, *p)
			} else if slots[p.index] == nil {
				slots[p.index] = p
			} else {
				v.ambiguous = true
			}
		}
		plain, _ := v.forms(name)
		value := joinPieces(slots[:])
		if name != "filename" && name != "name" { // there both forms are good style
			v.ambiguous = v.ambiguous || plain != "" && plain != value
		}
		v.params = append(v.params, param{name: name, value: value, ext: true})
		pieces = rest
	}
}

func joinPieces(slots []*piece) string {
	var raw []byte
	charset := ""
	for i, p := range slots {
		if p == nil {
			break
		}
		text := p.value
		if p.encoded {
			if i == 0 {
				if parts := strings.SplitN(text, "'", 3); len(parts) == 3 {
					charset, text = parts[0], parts[2]
				}
			}
			raw = appendPercent(raw, text)
		} else {
			raw = append(raw, text...)
		}
		if len(raw) > maxParamBytes {
			break
		}
	}
	return decodeCharset(raw, charset)
}

func appendPercent(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if hi, lo := unhex(s[i+1]), unhex(s[i+2]); hi < 16 && lo < 16 {
				dst = append(dst, hi<<4|lo)
				i += 2
				continue
			}
		}
		dst = append(dst, s[i])
	}
	return dst
}

// paramReader walks over "; name=value" and sets the RFC 2231 ones aside.
type paramReader struct {
	s           string
	name, value string
	pieces      []piece
}

// next reads up to the next plain parameter.
func (p *paramReader) next() bool {
	for {
		p.s = strings.TrimLeft(p.s, "; \t\r\n,")
		if p.s == "" {
			return false
		}
		eq := strings.IndexAny(p.s, "=;")
		if eq < 0 {
			return false
		}
		if p.s[eq] == ';' {
			p.s = p.s[eq:]
			continue
		}
		p.name = strings.ToLower(strings.TrimSpace(p.s[:eq]))
		if i := strings.LastIndexAny(p.name, " \t)"); i >= 0 {
			p.name = p.name[i+1:]
		}
		p.s = strings.TrimLeft(p.s[eq+1:], " \t\r\n")
		p.value = p.readValue()
		if len(p.value) > maxParamBytes {
			p.value = p.value[:maxParamBytes]
		}
		if !strings.Contains(p.name, "*") {
			return true
		}
		p.setAside()
	}
}

func (p *paramReader) setAside() {
	name, rest, _ := strings.Cut(p.name, "*")
	digits, encoded := strings.CutSuffix(rest, "*")
	piece := piece{name: name, value: p.value, encoded: encoded || rest == ""}
	if digits != "" {
		n, err := strconv.Atoi(digits)
		if err != nil || n < 0 || n >= maxParamIndex {
			return
		}
		piece.index = n
	}
	if len(p.pieces) < maxParams {
		p.pieces = append(p.pieces, piece)
	}
}

// readValue reads a quoted string or everything up to the next semicolon.
func (p *paramReader) readValue() string {
	if strings.HasPrefix(p.s, `"`) {
		return p.readQuoted()
	}
	end := strings.IndexByte(p.s, ';')
	if end < 0 {
		end = len(p.s)
	}
	value := strings.TrimSpace(p.s[:end])
	p.s = p.s[end:]
	return value
}

// readQuoted ends at a quote that something sensible follows, so that quotes
// that nobody escaped stay part of the value.
func (p *paramReader) readQuoted() string {
	var b []byte
	s := p.s
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			b = append(b, s[i])
		case s[i] == '"' && endsValue(s[i+1:]):
			p.s = s[i+1:]
			return string(b)
		default:
			b = append(b, s[i])
		}
	}
	p.s = ""
	value, _, _ := strings.Cut(string(b), ";")
	return strings.TrimRight(value, " \t\"")
}

// endsValue tells that what follows a quote starts something new. It looks at
// no more than 64 octets.
func endsValue(s string) bool {
	trimmed := strings.TrimLeft(s[:min(len(s), 64)], " \t\r\n")
	if trimmed == "" || trimmed[0] == ';' || trimmed[0] == '(' || trimmed[0] == ',' {
		return true
	}
	eq := strings.IndexByte(trimmed, '=')
	return len(trimmed) < len(s) && eq > 0 && !strings.ContainsAny(trimmed[:eq], " \t\".;")
}

func (p *paramReader) skipComment() {
	p.s = strings.TrimLeft(p.s, " \t")
	if strings.HasPrefix(p.s, "(") {
		if end := strings.IndexByte(p.s, ')'); end > 0 {
			p.s = p.s[end+1:]
		}
	}
}
