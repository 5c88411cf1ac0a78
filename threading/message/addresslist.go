package message

import (
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Bounds of one address field: what lies beyond them is left out.
const (
	maxListBytes = 128 << 10
	maxListItems = 1000
	maxPending   = 512 // octets of a name that commas cut into pieces
)

// ParseAddressList reads the value of an address field as leniently as can be:
// one bad item never costs the others. It takes commas and semicolons between
// items, commas in unquoted names, groups (their members count), comments,
// routes, raw 8-bit names, missing brackets and quotes. Quoted local parts
// keep their meaning: <"admin@legit.com"@attack.com> has the domain attack.com.
// An item without any address keeps its words as Name, with Local and Domain
// empty. Time is linear in len(s); at most 1000 addresses are returned.
func ParseAddressList(s string) []Address {
	out, _ := parseAddressList(s)
	return out
}

// parseAddressList also tells whether s was plain: items that are mailboxes,
// commas between them, and nothing that had to be guessed, dropped or opened.
func parseAddressList(s string) (list []Address, plain bool) {
	p := listParser{s: s, plain: true}
	if len(p.s) > maxListBytes {
		p.s, p.plain = p.s[:maxListBytes], false
	}
	if strings.IndexByte(p.s, 0) >= 0 {
		p.s, p.plain = strings.ReplaceAll(p.s, "\x00", ""), false
	}
	p.run()
	return p.out, p.plain
}

// listParser walks over the field once. item collects what stands between two
// separators.
type listParser struct {
	s     string
	i     int
	out   []Address
	plain bool
	group bool

	words    []byte   // name and bare words of the item, still encoded
	at       bool     // the words have an @
	quoted   bool     // some of the words stood in quotes that are no local part
	nameEnd  int      // where the words before the first <...> end
	angles   []string // contents of <...>
	comments []string
	pending  string // a name that a comma cut off: "Doe, John <a@b>"

	openQuote, openParen, openAngle bool // no partner was found: literal from here on
}

func (p *listParser) run() {
	for p.i < len(p.s) && len(p.out) < maxListItems {
		c := p.s[p.i]
		switch {
		case c == '"' && !p.openQuote:
			p.readQuoted()
		case c == '(' && !p.openParen:
			p.readComment()
		case c == '<':
			p.readAngle()
		case c == '=' && p.readEncodedWord():
		case c == ',':
			p.endItem(false)
			p.i++
		case c == ';':
			p.plain = false
			p.endItem(true)
			p.group = false
			p.i++
		case c == ':' && !p.at && len(p.angles) == 0:
			p.beginGroup()
		case c == '\\' && p.i+1 < len(p.s):
			p.plain = false
			p.words = append(p.words, p.s[p.i+1])
			p.i += 2
		default:
			p.at = p.at || c == '@'
			p.words = append(p.words, c)
			p.i++
		}
	}
	p.endItem(true)
}

func (p *listParser) beginGroup() {
	p.group, p.plain = true, false
	p.reset()
	p.pending = ""
	p.i++
}

// readQuoted takes a quoted string. Directly before an @ it is a local part and
// keeps its quotes; else it is part of the name.
func (p *listParser) readQuoted() {
	end := closingQuote(p.s, p.i)
	if end < 0 {
		p.openQuote, p.plain = true, false
		p.i++
		return
	}
	text := p.s[p.i : end+1]
	if end+1 < len(p.s) && p.s[end+1] == '@' {
		p.words = append(p.words, text...)
	} else {
		p.words = append(p.words, unescape(text[1:len(text)-1])...)
		p.quoted = true
	}
	p.i = end + 1
}

// readComment takes a comment with those inside it (RFC 5322, 3.2.2).
func (p *listParser) readComment() {
	depth := 0
	for j := p.i; j < len(p.s); j++ {
		switch p.s[j] {
		case '\\':
			j++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				p.comments = append(p.comments, unescape(p.s[p.i+1:j]))
				p.words = append(p.words, ' ')
				p.i = j + 1
				return
			}
		}
	}
	p.openParen, p.plain = true, false
	p.words = append(p.words, '(')
	p.i++
}

// readAngle takes <...>; without a partner it ends at the next comma.
func (p *listParser) readAngle() {
	rest := p.s[p.i+1:]
	end := -1
	if len(p.angles) == 0 {
		p.nameEnd = len(p.words)
	}
	if !p.openAngle {
		end = closingAngle(rest)
	}
	if end < 0 {
		p.openAngle, p.plain = true, false
		end = strings.IndexAny(rest, ",;<")
		if end < 0 {
			end = len(rest)
		}
		p.angles = append(p.angles, rest[:end])
		p.i += 1 + end
		return
	}
	p.angles = append(p.angles, rest[:end])
	p.words = append(p.words, ' ')
	p.i += 1 + end + 1
}

// closingAngle finds the > that ends an address, past quoted strings. A second
// < means that the first one was never closed.
func closingAngle(s string) int {
	quotes := true
	for j := 0; j < len(s); j++ {
		switch s[j] {
		case '"':
			if !quotes {
				continue
			}
			if q := closingQuote(s, j); q > 0 {
				j = q
			} else {
				quotes = false // looked to the end once; twice would be quadratic
			}
		case '<':
			return -1
		case '>':
			return j
		}
	}
	return -1
}

// readEncodedWord takes an RFC 2047 word as one piece: commas and brackets
// inside it separate nothing.
func (p *listParser) readEncodedWord() bool {
	n := encodedWordLen(p.s[p.i:])
	if n == 0 {
		return false
	}
	p.words = append(p.words, p.s[p.i:p.i+n]...)
	p.i += n
	return true
}

func (p *listParser) reset() {
	p.words, p.angles, p.comments, p.at, p.quoted = p.words[:0], nil, nil, false, false
}

// endItem turns what was collected into addresses. last tells that no further
// item follows that could own the words.
func (p *listParser) endItem(last bool) {
	defer p.reset()
	words := strings.TrimSpace(string(p.words))
	switch {
	case len(p.angles) > 0:
		p.endAngles(words)
	case strings.IndexByte(words, '@') >= 0:
		p.flushPending()
		p.endBare(words)
	case words == "" && len(p.comments) == 0:
		if last {
			p.flushPending()
		}
	case last:
		p.plain = false
		p.add(Address{Name: p.name(p.joinPending(words))})
	default:
		p.pending = p.joinPending(words)
		if len(p.pending) > maxPending {
			p.flushPending()
		}
	}
}

// endAngles handles name <address>. More than one pair gives more than one
// address: which of them is meant is nobody's guess. Nor do words belong behind.
func (p *listParser) endAngles(words string) {
	if strings.TrimSpace(string(p.words[p.nameEnd:])) != "" {
		p.plain = false
	}
	name := p.name(p.joinPending(words))
	for i, angle := range p.angles {
		a := p.mailbox(angle)
		if i == 0 {
			a.Name = name
		} else {
			p.plain = false
		}
		p.add(a)
	}
}

// endBare handles words with an @ among them and no brackets. The word with
// the @ is the address; more than one such word gives more than one address.
func (p *listParser) endBare(words string) {
	p.plain = p.plain && !p.quoted
	if !strings.ContainsAny(words, " \t") || words[0] == '"' {
		a := p.mailbox(words)
		a.Name = p.name("")
		p.add(a)
		return
	}
	p.plain = false
	var names []string
	var found []string
	for w := range strings.FieldsSeq(words) {
		if strings.IndexByte(w, '@') > 0 {
			found = append(found, w)
		} else {
			names = append(names, w)
		}
	}
	for i, w := range found {
		a := p.mailbox(w)
		if i == 0 {
			a.Name = p.name(strings.Join(names, " "))
		}
		p.add(a)
	}
	if len(found) == 0 {
		p.add(p.mailbox(strings.Join(strings.Fields(words), "")))
	}
}

// mailbox reads local@domain; a route before it is dropped (RFC 5322, 4.4).
func (p *listParser) mailbox(s string) Address {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "@") {
		p.plain = false
		if colon := strings.IndexByte(s, ':'); colon > 0 {
			s = s[colon+1:]
		}
	}
	// Some readers decode an encoded word wherever it stands (RFC 2047, 5, forbids
	// it here): what one takes for a local part is another's whole address.
	if strings.Contains(s, "=?") && strings.Contains(s, "?=") {
		p.plain = false
	}
	if a, err := ParseAddress(s); err == nil {
		return a
	}
	p.plain = false
	return guessMailbox(s)
}

// guessMailbox makes the most of an address that is not well-formed. The
// domain is what follows the last @, never something before it.
func guessMailbox(s string) Address {
	s = CleanLine(s)
	for _, prefix := range []string{"mailto:", "MAILTO:", "SMTP:", "smtp:"} {
		s = strings.TrimPrefix(s, prefix)
	}
	s = strings.Map(func(r rune) rune {
		if r == ' ' || r == '<' || r == '>' {
			return -1
		}
		return r
	}, s)
	s = norm.NFC.String(strings.Trim(s, "'`"))
	if a, err := ParseAddress(s); err == nil {
		return a
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return Address{Local: s}
	}
	local := s[:at]
	if n := len(local); n > 1 && local[0] == '"' && local[n-1] == '"' {
		local = unescape(local[1 : n-1])
	}
	return Address{Local: local, Domain: s[at+1:]}
}

// name decodes the display name; without words the last comment is it.
func (p *listParser) name(words string) string {
	if words == "" && len(p.comments) > 0 {
		words = p.comments[len(p.comments)-1]
	}
	return collapse(DecodeHeader(words))
}

func (p *listParser) joinPending(words string) string {
	if p.pending == "" {
		return words
	}
	p.plain = false
	joined := p.pending + ", " + words
	p.pending = ""
	return strings.TrimSuffix(joined, ", ")
}

// flushPending keeps words that no address follows.
func (p *listParser) flushPending() {
	if p.pending == "" {
		return
	}
	p.plain = false
	p.add(Address{Name: p.name(p.pending)})
	p.pending = ""
}

func (p *listParser) add(a Address) {
	if a.Name == "" && a.Local == "" && a.Domain == "" {
		p.plain = false
		return
	}
	if len(p.out) >= maxListItems {
		return
	}
	a.mark()
	p.out = append(p.out, a)
}

// collapse turns runs of blanks into one.
func collapse(s string) string {
	if !strings.Contains(s, "  ") {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}
