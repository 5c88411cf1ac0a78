package message

import (
	"bytes"
	"strings"

	xhtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxHTMLDepth bounds the nesting of what is shown; deeper tags are dropped
// and their text stays.
const maxHTMLDepth = 100

// closingRoom is what the last tag and the end tags of everything open need.
const closingRoom = 160 << 10

// SanitizeHTML returns markup that is safe to show: only elements, attributes
// and CSS properties of a list, no script, no form, no style that reaches
// outside, no load from elsewhere. The address of a remote picture is moved to
// data-remote-src, so that a click can load it; cid: pictures and small data:
// ones stay. Links open with rel="noopener noreferrer". The result is balanced
// and written anew token by token, every text escaped, so that a browser reads
// it as it was meant here; doing it twice changes nothing. Time is linear.
// At most 1 MiB comes out; what would go beyond it is left out.
//
// It is one pass over the tokenizer of x/net/html and builds no tree, which
// that package refuses beyond 512 levels; a bluemonday policy in the tests
// holds it to a second opinion.
func SanitizeHTML(s string) string {
	w := sanitizer{z: xhtml.NewTokenizer(strings.NewReader(Clean(s)))}
	w.out = make([]byte, 0, len(s)+len(s)/8)
	w.run()
	return string(w.out)
}

type sanitizer struct {
	z     *xhtml.Tokenizer
	out   []byte
	attrs attrWriter // its buffers are used again for each tag
	stack []atom.Atom
	paras int // open paragraphs on the stack

	skip      atom.Atom // its content is dropped
	skipDepth int
}

func (w *sanitizer) run() {
	for len(w.out) < maxTextBytes-closingRoom {
		switch w.z.Next() {
		case xhtml.ErrorToken:
			w.closeTo(0)
			return
		case xhtml.TextToken:
			if w.skip == 0 {
				w.text(w.z.Text())
			}
		case xhtml.StartTagToken:
			w.start(false)
		case xhtml.SelfClosingTagToken:
			w.start(true)
		case xhtml.EndTagToken:
			tag, _ := tagName(w.z)
			w.end(tag)
		}
	}
	w.closeTo(0)
}

// tagName is the name of the tag that z stands at, 0 if HTML has no such, and
// whether attributes may follow. It reads the raw bytes where they are plain,
// because the tokenizer makes a copy of every name.
func tagName(z *xhtml.Tokenizer) (tag atom.Atom, more bool) {
	raw := z.Raw()
	start := 1
	if len(raw) > 1 && raw[1] == '/' {
		start = 2
	}
	end := start
	for end < len(raw) && (raw[end] >= 'a' && raw[end] <= 'z' || raw[end] >= '0' && raw[end] <= '9') {
		end++
	}
	if end < len(raw) && end > start && (raw[end] == '>' || raw[end] == ' ') {
		return atom.Lookup(raw[start:end]), raw[end] == ' '
	}
	name, more := z.TagName()
	return atom.Lookup(name), more
}

// text writes text whose references the tokenizer resolved. Carriage returns
// go: they would be read differently the second time.
func (w *sanitizer) text(raw []byte) {
	if bytes.IndexByte(raw, '\r') >= 0 {
		raw = []byte(newlines(string(raw)))
	}
	if room := maxTextBytes - closingRoom - len(w.out); len(raw)*len("&quot;") > room {
		raw = []byte(cut(string(raw), room/len("&quot;")))
	}
	w.out = appendEscaped(w.out, raw)
}

// appendEscaped writes what HTML would take for markup as references.
func appendEscaped(dst, text []byte) []byte {
	last := 0
	for i, c := range text {
		ref := ""
		switch c {
		case '&':
			ref = "&amp;"
		case '<':
			ref = "&lt;"
		case '>':
			ref = "&gt;"
		case '\'':
			ref = "&#39;"
		case '"':
			ref = "&#34;"
		default:
			continue
		}
		dst = append(append(dst, text[last:i]...), ref...)
		last = i + 1
	}
	return append(dst, text[last:]...)
}

func (w *sanitizer) start(selfClosing bool) {
	tag, more := tagName(w.z)
	if w.skip != 0 {
		if tag == w.skip && !selfClosing {
			w.skipDepth++
		}
		return
	}
	if dropsContent(tag) {
		if !selfClosing || tag == atom.Script || tag == atom.Style {
			w.skip, w.skipDepth = tag, 1
		}
		return
	}
	kind := elements[tag]
	if kind == 0 {
		return
	}
	if kind&closesP != 0 && w.paras > 0 {
		w.closeOpen(atom.P)
	}
	w.implied(tag)
	if kind&void == 0 && len(w.stack) >= maxHTMLDepth {
		return
	}
	attrs := w.attributes(tag, more)
	if (tag == atom.A || tag == atom.Img) && len(attrs) == 0 {
		return
	}
	w.out = append(append(w.out, '<'), tag.String()...)
	w.out = append(append(w.out, attrs...), '>')
	if kind&void == 0 {
		w.stack = append(w.stack, tag)
		if tag == atom.P {
			w.paras++
		}
	}
}

func (w *sanitizer) end(tag atom.Atom) {
	if w.skip != 0 {
		if tag == w.skip {
			if w.skipDepth--; w.skipDepth == 0 {
				w.skip = 0
			}
		}
		return
	}
	if tag != 0 {
		w.closeOpen(tag)
	}
}

// implied closes what a start tag ends without saying so.
func (w *sanitizer) implied(tag atom.Atom) {
	switch tag {
	case atom.A:
		w.closeOpen(atom.A)
	case atom.Li:
		w.closeWithin(atom.Li, atom.Ul, atom.Ol)
	case atom.Dt, atom.Dd:
		w.closeWithin(atom.Dt, atom.Dl)
		w.closeWithin(atom.Dd, atom.Dl)
	case atom.Td, atom.Th:
		w.closeWithin(atom.Td, atom.Tr, atom.Table)
		w.closeWithin(atom.Th, atom.Tr, atom.Table)
	case atom.Tr:
		w.closeWithin(atom.Tr, atom.Table)
	case atom.Tbody, atom.Thead, atom.Tfoot:
		w.closeWithin(atom.Tbody, atom.Table)
		w.closeWithin(atom.Thead, atom.Table)
		w.closeWithin(atom.Tfoot, atom.Table)
	}
}

// closeOpen closes the innermost open tag and all in it. It does not look
// beyond the table cell it stands in, unless it closes a piece of the table.
func (w *sanitizer) closeOpen(tag atom.Atom) {
	table := elements[tag]&tablePart != 0
	for i := len(w.stack) - 1; i >= 0; i-- {
		switch open := w.stack[i]; {
		case open == tag:
			w.closeTo(i)
			return
		case !table && elements[open]&tablePart != 0, table && tag != atom.Table && open == atom.Table:
			return
		}
	}
}

// closeWithin closes the innermost tag unless one of the borders is nearer.
func (w *sanitizer) closeWithin(tag atom.Atom, borders ...atom.Atom) {
	for i := len(w.stack) - 1; i >= 0; i-- {
		if w.stack[i] == tag {
			w.closeTo(i)
			return
		}
		for _, b := range borders {
			if w.stack[i] == b {
				return
			}
		}
		if w.stack[i] == atom.Table {
			return
		}
	}
}

func (w *sanitizer) closeTo(n int) {
	for len(w.stack) > n {
		last := len(w.stack) - 1
		w.out = append(append(w.out, "</"...), w.stack[last].String()...)
		if w.stack[last] == atom.P {
			w.paras--
		}
		w.out = append(w.out, '>')
		w.stack = w.stack[:last]
	}
}

// attributes returns the attributes that may stay, ready to be written. They
// are good until the next call.
func (w *sanitizer) attributes(tag atom.Atom, more bool) []byte {
	if !more {
		return nil
	}
	b := &w.attrs
	b.reset()
	for n := 0; more && n < 200; n++ {
		var key, val []byte
		key, val, more = w.z.TagAttr()
		b.add(tag, key, val)
	}
	return b.finish(tag)
}

// Kinds of elements.
const (
	allowed = 1 << iota
	void
	closesP
	tablePart
)

// elements is the list of what may be shown. It is never written to.
var elements = map[atom.Atom]uint8{
	atom.A: allowed, atom.Abbr: allowed, atom.B: allowed, atom.Big: allowed, atom.Cite: allowed, atom.Code: allowed,
	atom.Del: allowed, atom.Dfn: allowed, atom.Em: allowed, atom.Font: allowed, atom.I: allowed, atom.Ins: allowed,
	atom.Kbd: allowed, atom.Mark: allowed, atom.Q: allowed, atom.Rp: allowed, atom.Rt: allowed, atom.Ruby: allowed,
	atom.S: allowed, atom.Samp: allowed, atom.Small: allowed, atom.Span: allowed, atom.Strike: allowed,
	atom.Strong: allowed, atom.Sub: allowed, atom.Sup: allowed, atom.Time: allowed, atom.Tt: allowed, atom.U: allowed,
	atom.Var: allowed, atom.Bdi: allowed,

	atom.Br: allowed | void, atom.Wbr: allowed | void, atom.Img: allowed | void, atom.Col: allowed | void,
	atom.Hr: allowed | void | closesP,

	atom.Address: allowed | closesP, atom.Article: allowed | closesP, atom.Aside: allowed | closesP,
	atom.Blockquote: allowed | closesP, atom.Center: allowed | closesP, atom.Div: allowed | closesP,
	atom.Dl: allowed | closesP, atom.Dt: allowed | closesP, atom.Dd: allowed | closesP, atom.Figcaption: allowed | closesP,
	atom.Figure: allowed | closesP, atom.Footer: allowed | closesP, atom.Header: allowed | closesP,
	atom.H1: allowed | closesP, atom.H2: allowed | closesP, atom.H3: allowed | closesP, atom.H4: allowed | closesP,
	atom.H5: allowed | closesP, atom.H6: allowed | closesP, atom.Li: allowed | closesP, atom.Main: allowed | closesP,
	atom.Nav: allowed | closesP, atom.Ol: allowed | closesP, atom.P: allowed | closesP, atom.Pre: allowed | closesP,
	atom.Section: allowed | closesP, atom.Ul: allowed | closesP,

	atom.Table: allowed | closesP | tablePart, atom.Caption: allowed | tablePart, atom.Colgroup: allowed | tablePart,
	atom.Thead: allowed | tablePart, atom.Tbody: allowed | tablePart, atom.Tfoot: allowed | tablePart,
	atom.Tr: allowed | tablePart, atom.Td: allowed | tablePart, atom.Th: allowed | tablePart,
}

// dropsContent tells the elements that go with all that is in them.
func dropsContent(tag atom.Atom) bool {
	switch tag {
	case atom.Script, atom.Style, atom.Title, atom.Noscript, atom.Iframe, atom.Noembed, atom.Noframes, atom.Xmp,
		atom.Svg, atom.Math, atom.Template, atom.Object, atom.Applet, atom.Audio, atom.Video, atom.Canvas, atom.Select:
		return true
	}
	return false
}
