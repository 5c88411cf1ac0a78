package message

import (
	"bytes"
	"strings"
)

// part is a node of the MIME tree. A multipart has children; everything else
// is a leaf with a body that is still encoded.
type part struct {
	header   Header
	ctype    structured
	disp     structured
	encoding string
	cid      string
	digest   bool // stands in a multipart/digest
	depth    int
	start    int    // where its body begins in the raw mail
	body     []byte // of a leaf
	children []*part
}

func (p *part) multipart() bool { return strings.HasPrefix(p.ctype.value, "multipart/") }

// mediaType is the part's type, repaired where it is none.
func (p *part) mediaType() string {
	t := p.ctype.value
	switch {
	case t == "" && p.digest:
		return "message/rfc822"
	case t == "" || t == "text":
		return "text/plain"
	case len(t) > 127 || !isPlainLine(t) || strings.Count(t, "/") != 1 || strings.HasPrefix(t, "/") || strings.HasSuffix(t, "/"):
		if strings.HasPrefix(t, "text/") {
			return "text/plain"
		}
		return "application/octet-stream"
	}
	return t
}

// newPart reads the MIME fields of a part header in one pass.
func newPart(h Header) *part {
	p := &part{header: h}
	seen := [3]bool{}
	for i := range h.Fields {
		f := &h.Fields[i]
		if len(f.Name) < 10 || f.Name[0]|0x20 != 'c' {
			continue
		}
		switch {
		case strings.EqualFold(f.Name, "Content-Type"):
			p.ctype, seen[0] = p.once(p.ctype, seen[0], f.Value), true
		case strings.EqualFold(f.Name, "Content-Disposition"):
			p.disp, seen[1] = p.once(p.disp, seen[1], f.Value), true
		case strings.EqualFold(f.Name, "Content-Transfer-Encoding"):
			if e := transferName(f.Value); seen[2] && e != p.encoding {
				p.ctype.ambiguous = true
			} else {
				p.encoding = e
			}
			seen[2] = true
		case strings.EqualFold(f.Name, "Content-ID"):
			if ids := ParseIDs(f.Value); len(ids) > 0 {
				p.cid = ids[0]
			} else {
				p.cid = cleanID(f.Value)
			}
		}
	}
	return p
}

// once keeps the first of two fields and notes that there are two.
func (p *part) once(old structured, seen bool, value string) structured {
	v := parseStructured(value)
	if !seen {
		return v
	}
	old.ambiguous = old.ambiguous || v.value != old.value || len(v.params) != len(old.params)
	return old
}

// splitter cuts a mail into its tree in one pass: every line that begins with
// two hyphens is held against the boundaries that are open, innermost first.
// That is linear however deep the nesting, and a missing end costs nothing.
type splitter struct {
	raw    []byte
	stack  []level
	leaf   *part
	count  int
	excess string
	note   func(string)
}

// level is an open multipart.
type level struct {
	part     *part
	boundary string
}

// splitTree returns the tree of raw, whose header h ends at body.
func splitTree(raw []byte, h Header, body int, note func(string)) (root *part, excess string) {
	s := splitter{raw: raw, note: note}
	root = newPart(h)
	root.start = body
	s.enter(root)
	s.run(body)
	if root.multipart() && len(root.children) == 0 && s.excess == "" {
		if b := guessBoundary(raw[body:], len(raw)); b != "" {
			note("boundary_guessed")
			root.body = nil
			s.stack, s.leaf = []level{{root, b}}, nil
			s.run(body)
		}
	}
	return root, s.excess
}

// enter makes p the part that is being read.
func (s *splitter) enter(p *part) {
	if p.ctype.ambiguous || p.disp.ambiguous {
		s.note("mime_ambiguous")
	}
	s.leaf = p
	if !p.multipart() {
		return
	}
	if len(s.stack) >= maxDepth {
		s.excess = "depth"
		return
	}
	switch p.encoding {
	case "", "7bit", "8bit", "binary":
	default:
		s.note("encoding_on_multipart " + p.encoding)
	}
	boundary := s.boundary(p)
	if boundary == "" {
		s.note("multipart_without_boundary")
		return
	}
	s.stack = append(s.stack, level{p, boundary})
}

// boundary chooses among what the parameters say; without any it is guessed
// from the first line that looks like one.
func (s *splitter) boundary(p *part) string {
	plain, ext := p.ctype.forms("boundary")
	if plain == "" || ext != "" && p.depth == 0 && !bytes.Contains(s.raw, []byte("--"+plain)) {
		plain = ext
	}
	plain = strings.TrimRight(plain, " \t")
	if plain == "" {
		if plain = guessBoundary(s.raw[p.start:], 8<<10); plain != "" {
			s.note("boundary_guessed")
		}
	}
	return plain
}

// guessBoundary finds a line of two hyphens and something, with a MIME field
// below it, within the first limit octets.
func guessBoundary(body []byte, limit int) string {
	body = body[:min(len(body), limit)]
	for pos := 0; pos < len(body); {
		line, next := cutLine(body, pos)
		if isDashed(line) && fieldFollows(body, next) && bytes.HasPrefix(bytes.ToLower(body[next:min(next+8, len(body))]), []byte("content-")) {
			return string(bytes.TrimRight(line[2:], " \t"))
		}
		pos = next
	}
	return ""
}

// run reads boundary lines from pos on until the mail ends.
func (s *splitter) run(pos int) {
	for pos < len(s.raw) && s.excess != "parts" {
		pos = nextDashed(s.raw, pos)
		if pos < 0 {
			break
		}
		line, next := cutLine(s.raw, pos)
		at, closing := s.match(line)
		if at < 0 {
			pos = next
			continue
		}
		s.endLeaf(lineEndBefore(s.raw, pos))
		if at < len(s.stack)-1 {
			s.note("boundary_without_end")
		}
		s.popTo(at + 1)
		if closing {
			s.popTo(at)
			pos = next
			continue
		}
		pos = s.begin(s.stack[at].part, next)
	}
	if len(s.stack) > 0 {
		s.note("boundary_without_end")
	}
	s.endLeaf(len(s.raw))
	s.popTo(0)
}

// begin reads the header of a new child of parent and returns where its body
// begins.
func (s *splitter) begin(parent *part, pos int) int {
	if s.count++; s.count > maxParts {
		s.excess = "parts"
		return pos
	}
	h, n := scanHeader(s.raw[pos:], func(line []byte) bool {
		at, _ := s.match(line)
		return at >= 0
	})
	child := newPart(h)
	child.depth = parent.depth + 1
	child.start = pos + n
	child.digest = parent.ctype.value == "multipart/digest"
	parent.children = append(parent.children, child)
	s.enter(child)
	return child.start
}

// match tells which open multipart a line belongs to, or -1.
func (s *splitter) match(line []byte) (at int, closing bool) {
	line = bytes.TrimRight(line, " \t\r")
	if !isDashed(line) {
		return -1, false
	}
	text := line[2:]
	for i := len(s.stack) - 1; i >= 0; i-- {
		b := s.stack[i].boundary
		if len(text) < len(b) || len(text) > len(b)+2 || string(text[:len(b)]) != b {
			continue
		}
		if len(text) == len(b) {
			return i, false
		}
		if string(text[len(b):]) == "--" {
			return i, true
		}
	}
	return -1, false
}

// endLeaf gives the part that is being read its body.
func (s *splitter) endLeaf(end int) {
	if s.leaf != nil && len(s.leaf.children) == 0 {
		s.leaf.body = s.raw[s.leaf.start:max(end, s.leaf.start)]
	}
	s.leaf = nil
}

func (s *splitter) popTo(n int) {
	s.stack = s.stack[:min(n, len(s.stack))]
}

// nextDashed finds the next line that begins with two hyphens, from the line
// start pos on; -1 when there is none.
func nextDashed(raw []byte, pos int) int {
	if bytes.HasPrefix(raw[pos:], []byte("--")) {
		return pos
	}
	n := bytes.Index(raw[pos:], []byte("\n--"))
	if n < 0 {
		return -1
	}
	return pos + n + 1
}

// lineEndBefore is where the line end before pos begins: it belongs to the
// boundary (RFC 2046, 5.1.1).
func lineEndBefore(raw []byte, pos int) int {
	if pos > 0 && raw[pos-1] == '\n' {
		pos--
	}
	if pos > 0 && raw[pos-1] == '\r' {
		pos--
	}
	return pos
}
