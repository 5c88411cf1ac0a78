package cards

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-vcard"

	"ticketgate/store"
	"ticketgate/threading"
)

// maxVCard is the size of a card in bytes; they may hold pictures.
const maxVCard = 10 << 20

// readVCards gives the cards of a stream. What stands between two cards is
// passed over.
func readVCards(r io.Reader) iter.Seq2[threading.Card, error] {
	return func(yield func(threading.Card, error) bool) {
		lines := bufio.NewReaderSize(r, 64<<10)
		s := &cardStream{lines: lines}
		seen := false
		for {
			raw, line, err := s.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				yield(threading.Card{}, err)
				return
			}
			seen = true
			card := FromVCard(raw)
			if card.Line = line; !yield(card, nil) {
				return
			}
		}
		if !seen {
			yield(threading.Card{}, store.Invalid("file", "holds no vCard"))
		}
	}
}

// cardStream cuts a stream into cards, so that a broken one does not spoil the
// next.
type cardStream struct {
	lines *bufio.Reader
	n     int  // lines that were read
	begun bool // the line that was read last begins a card
}

// next gives a card's text, and the line where it begins. A card whose end is
// missing ends where the next begins. Error: io.EOF behind the last.
func (s *cardStream) next() (raw []byte, line int, err error) {
	for !s.begun {
		text, err := s.line()
		if err != nil {
			return nil, 0, err
		}
		s.begun = isMark(text, "BEGIN:VCARD")
	}
	line, s.begun = s.n, false
	raw = []byte("BEGIN:VCARD\r\n")
	for {
		text, err := s.line()
		switch {
		case errors.Is(err, io.EOF):
			return raw, line, nil
		case err != nil:
			return nil, 0, err
		case isMark(text, "BEGIN:VCARD"):
			s.begun = true
			return raw, line, nil
		case len(raw) <= maxVCard:
			raw = append(append(raw, text...), '\r', '\n')
		}
		if isMark(text, "END:VCARD") {
			return raw, line, nil
		}
	}
}

// line reads a line without its end; of a very long one the beginning.
func (s *cardStream) line() ([]byte, error) {
	var line []byte
	for {
		part, err := s.lines.ReadSlice('\n')
		if len(line) <= maxVCard {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
			return nil, err
		}
		s.n++
		return bytes.TrimPrefix(bytes.TrimRight(line, "\r\n"), []byte("\xef\xbb\xbf")), nil
	}
}

func isMark(line []byte, mark string) bool {
	return strings.EqualFold(string(bytes.TrimSpace(line)), mark)
}

// FromVCard reads the text of one card.
func FromVCard(raw []byte) threading.Card {
	if len(raw) > maxVCard {
		return threading.Card{Broken: "the card is larger than 10 MiB"}
	}
	fields, err := vcard.NewDecoder(bytes.NewReader(plainVCard(raw))).Decode()
	if err != nil {
		return threading.Card{Broken: "the card has no end"}
	}
	return OfVCard(fields)
}

// OfVCard reads the fields of a card. Its UID is not taken over: it is the
// address book's, and not the CRM's id of this person.
func OfVCard(fields vcard.Card) threading.Card {
	kind := strings.ToLower(cmp.Or(fields.Value(vcard.FieldKind), fields.Value("X-ADDRESSBOOKSERVER-KIND"))) // 4.0; Apple's in 3.0
	if kind != "" && kind != "individual" {
		return threading.Card{Broken: "the card is no person's"}
	}
	c := threading.Card{
		Name: plainText(fields.Value(vcard.FieldFormattedName)), Emails: values(fields[vcard.FieldEmail]), Phones: values(fields[vcard.FieldTelephone]),
	}
	if n := parts(fields.Value(vcard.FieldName)); c.Name == "" && len(n) > 0 { // family; given; more; prefix; suffix
		n = append(n, "")
		c.Name = strings.TrimSpace(n[1] + " " + n[0])
	}
	if org := parts(fields.Value(vcard.FieldOrganization)); len(org) > 0 { // the firm; its units
		c.Company.Name = org[0]
	}
	for _, text := range slices.Concat([]string{c.Name, c.Company.Name}, c.Emails, c.Phones) {
		if !utf8.ValidString(text) {
			return threading.Card{Broken: "the card is not UTF-8"}
		}
	}
	return c
}

// values gives the values of a field, the preferred first.
func values(fields []*vcard.Field) []string {
	sorted := slices.Clone(fields)
	slices.SortStableFunc(sorted, func(a, b *vcard.Field) int { return preference(a) - preference(b) })
	var all []string
	for _, f := range sorted {
		text := plainText(f.Value)
		for _, scheme := range []string{"mailto:", "tel:"} { // URIs of 4.0
			if len(text) > len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
				text, _, _ = strings.Cut(text[len(scheme):], ";")
			}
		}
		if text != "" {
			all = append(all, text)
		}
	}
	return all
}

// preference is lower for what is rather meant: PREF=1 to 100 of 4.0, TYPE=pref
// before.
func preference(f *vcard.Field) int {
	if f.Params.HasType("pref") {
		return 0
	}
	switch pref := f.Params.Get(vcard.ParamPreferred); {
	case pref == "":
		return 101
	case len(pref) > 2:
		return 100
	default:
		n := 0
		for _, r := range pref {
			n = n*10 + int(r-'0')
		}
		return min(max(n, 0), 100)
	}
}

// parts takes a structured value apart.
func parts(value string) []string {
	const escaped = "\x00"
	all := strings.Split(strings.ReplaceAll(value, `\;`, escaped), ";")
	for i := range all {
		all[i] = plainText(strings.ReplaceAll(all[i], escaped, ";"))
	}
	return all
}

func plainText(value string) string {
	return strings.TrimSpace(strings.ReplaceAll(value, `\;`, ";"))
}
