package message

import (
	"strings"

	xhtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxQuotes bounds the marks before a quoted line.
const maxQuotes = 10

// TextFromHTML makes readable text of HTML: a line for each block, a dash for
// each item of a list, "> " before what is quoted, "text (address)" for a link
// whose text does not show where it leads. Time is linear.
func TextFromHTML(s string) string {
	w := textWriter{z: xhtml.NewTokenizer(strings.NewReader(Clean(s)))}
	w.out.Grow(len(s) / 3)
	w.run()
	return strings.TrimSpace(strings.ReplaceAll(w.out.String(), "\u00a0", " "))
}

type textWriter struct {
	z   *xhtml.Tokenizer
	out strings.Builder

	breaks int  // line ends that are due before the next text
	space  bool // a blank is due
	begun  bool // the line has text
	quotes int  // open blockquotes
	pre    int
	skip   atom.Atom
	depth  int

	href     string
	linkText strings.Builder
}

func (w *textWriter) run() {
	for w.out.Len() <= 2*maxTextBytes {
		switch w.z.Next() {
		case xhtml.ErrorToken:
			w.endLink()
			return
		case xhtml.TextToken:
			if w.skip == 0 {
				w.text(string(w.z.Text()))
			}
		case xhtml.StartTagToken, xhtml.SelfClosingTagToken:
			w.start(tagName(w.z))
		case xhtml.EndTagToken:
			tag, _ := tagName(w.z)
			w.end(tag)
		}
	}
}

func (w *textWriter) start(tag atom.Atom, more bool) {
	if w.skip != 0 {
		if tag == w.skip {
			w.depth++
		}
		return
	}
	switch tag {
	case atom.Script, atom.Style, atom.Title, atom.Noscript, atom.Iframe, atom.Noembed, atom.Noframes, atom.Template:
		w.skip, w.depth = tag, 1
	case atom.Br:
		w.newline()
	case atom.Hr:
		w.block(1)
		w.word("---")
		w.block(1)
	case atom.A:
		w.endLink()
		w.href = w.attr("href", more)
		w.linkText.Reset()
	case atom.Img:
		if alt := CleanLine(w.attr("alt", more)); alt != "" && len(alt) < 100 {
			w.word("[" + alt + "]")
		}
	case atom.Li:
		w.block(1)
		w.word("- ")
	case atom.Td, atom.Th:
		w.space = w.begun
	case atom.Blockquote:
		w.block(1)
		w.quotes = min(w.quotes+1, maxQuotes)
	case atom.Pre:
		w.block(2)
		w.pre++
	default:
		w.block(gap(tag))
	}
}

func (w *textWriter) end(tag atom.Atom) {
	if w.skip != 0 {
		if tag == w.skip {
			if w.depth--; w.depth == 0 {
				w.skip = 0
			}
		}
		return
	}
	switch tag {
	case atom.A:
		w.endLink()
	case atom.Blockquote:
		w.block(1)
		w.quotes = max(w.quotes-1, 0)
	case atom.Pre:
		w.block(2)
		w.pre = max(w.pre-1, 0)
	default:
		w.block(gap(tag))
	}
}

// gap is how many line ends a block wants around itself.
func gap(tag atom.Atom) int {
	switch tag {
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Ul, atom.Ol, atom.Dl:
		return 2
	}
	if elements[tag]&closesP != 0 || tag == atom.Tr || tag == atom.Body || tag == atom.Form || tag == atom.Caption || tag == atom.Option {
		return 1
	}
	return 0
}

// block asks for n line ends before the next text, unless they are due anyway.
func (w *textWriter) block(n int) {
	if n > 0 && (w.begun || n > 1) {
		w.breaks = max(w.breaks, n)
		w.space = false
	}
}

// newline is a line end that counts, however many there are.
func (w *textWriter) newline() {
	w.breaks = min(max(w.breaks, 0)+1, 3)
	w.space = false
}

func (w *textWriter) attr(key string, more bool) (val string) {
	for n := 0; more && n < 200; n++ {
		var k, v []byte
		k, v, more = w.z.TagAttr()
		if string(k) == key && val == "" {
			val = string(v)
		}
	}
	return val
}

// text writes text with its blanks collapsed, or as it is within <pre>.
func (w *textWriter) text(s string) {
	if w.pre > 0 {
		for i, line := range strings.Split(newlines(s), "\n") {
			if i > 0 {
				w.newline()
			}
			if line != "" {
				w.word(line)
			}
		}
		return
	}
	for s != "" {
		n := strings.IndexAny(s, " \t\r\n")
		if n != 0 {
			if n < 0 {
				n = len(s)
			}
			w.word(s[:n])
			s = s[n:]
			continue
		}
		s = strings.TrimLeft(s, " \t\r\n")
		w.space = w.begun && w.breaks == 0
	}
}

// word writes what is due and then s.
func (w *textWriter) word(s string) {
	if w.out.Len() == 0 {
		w.breaks = 0
	}
	if w.breaks > 0 || !w.begun {
		for range w.breaks - 1 {
			w.out.WriteByte('\n')
			w.out.WriteString(strings.TrimRight(w.prefix(), " "))
		}
		if w.breaks > 0 {
			w.out.WriteByte('\n')
		}
		w.out.WriteString(w.prefix())
		w.breaks, w.space = 0, false
	}
	if w.space {
		w.out.WriteByte(' ')
		w.space = false
	}
	w.out.WriteString(s)
	w.begun = true
	if w.href != "" && w.linkText.Len() < 300 {
		w.linkText.WriteString(s)
	}
}

func (w *textWriter) prefix() string {
	const quotes = "> > > > > > > > > > "
	return quotes[:2*w.quotes]
}

// endLink adds where a link leads, if its text does not say so.
func (w *textWriter) endLink() {
	href, text := linkURL(w.href), w.linkText.String()
	w.href = ""
	if href == "" || text == "" {
		return
	}
	bare := func(s string) string {
		s = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(s, "mailto:"), "https://"), "http://")
		return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(s, "www."), "/"))
	}
	if bare(href) == bare(text) || strings.HasPrefix(href, "tel:") || len(href) > 500 {
		return
	}
	w.space = true
	w.word("(" + href + ")")
}
