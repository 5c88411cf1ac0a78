package store

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// SearchEntry is what a search finds an activity's ticket by.
type SearchEntry struct {
	ActivityID string
	Subject    string
	Text       string
	Addresses  []string
	Names      []string // of attachments and people
	Reference  string   // of the ticket, as people write it
}

// maxIndexed is how much of an activity is searched; PostgreSQL holds one
// megabyte of an entry at most. maxWord is where a word is cut.
const (
	maxIndexed = 256 << 10
	maxWord    = 64
	maxPhrases = 16
	maxPhrase  = 64 // words
)

// Index makes an activity found by its words, from the commit on. Doing it
// again replaces what was indexed. It follows the activity when that moves.
func (tx *Tx) Index(_ context.Context, e SearchEntry) error {
	parts := append([]string{e.Reference, e.Subject}, e.Addresses...)
	parts = append(append(parts, e.Names...), e.Text)
	text := strings.Join(parts, "\n")
	if len(text) > maxIndexed {
		text = text[:maxIndexed]
	}
	return tx.defers(tx.db.dialect.Index, e.ActivityID, tx.db.dialect.Document(plainWords(text)))
}

// Unindex takes an activity out of the search.
func (tx *Tx) Unindex(_ context.Context, activityID string) error {
	return tx.defers(tx.db.dialect.Unindex, activityID)
}

// plainWords brings a text into the one form that both databases take apart
// alike: lower-case words without accents, with single spaces between them.
// Addresses, file names and references fall into their parts; a search for one
// is a search for these parts in a row.
func plainWords(text string) string {
	b := make([]byte, 0, len(text)+len(text)/8)
	word := 0 // length of the word that is being written
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			_, size := utf8.DecodeRuneInString(text[i:])
			b, word = appendPlain(b, word, text[i:i+size])
			i += size
			continue
		}
		i++
		if c = lowerASCII(c); inWord(rune(c)) {
			if word++; word <= maxWord {
				b = append(b, c)
			}
		} else if word > 0 {
			b, word = append(b, ' '), 0
		}
	}
	return strings.TrimSuffix(string(b), " ")
}

// appendPlain adds a character that is not ASCII to the words, the last of
// which has the length word by now, and gives its length then.
func appendPlain(b []byte, word int, char string) ([]byte, int) {
	foldEach(char, func(r rune) {
		switch {
		case inWord(r):
			if word += utf8.RuneLen(r); word <= maxWord {
				b = utf8.AppendRune(b, r)
			}
		case word > 0:
			b, word = append(b, ' '), 0
		}
	})
	return b, word
}

// inWord tells a letter or digit of a folded text.
func inWord(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || '0' <= r && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r)
}

// foldText takes case and accents away.
func foldText(text string) string {
	b := make([]byte, 0, len(text))
	foldEach(text, func(r rune) { b = utf8.AppendRune(b, r) })
	return string(b)
}

// foldEach gives the characters of a text without case and accents, and a
// space for what is no UTF-8. It goes character by character: most are ASCII,
// and one letter that isn't should not cost the whole text the long way.
func foldEach(text string, give func(rune)) {
	for i, r := range text {
		switch {
		case r < utf8.RuneSelf:
			give(rune(lowerASCII(byte(r))))
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			give(' ')
		default:
			foldOne(r, text[i:i+utf8.RuneLen(r)], give)
		}
	}
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// foldOne gives what one character, r, spelled char, is folded to.
func foldOne(r rune, char string, give func(rune)) {
	if isHangul := r >= 0xac00 && r <= 0xd7a3; isHangul { // taken apart by rule, not by table
		for _, part := range norm.NFKD.String(char) {
			give(part)
		}
		return
	}
	parts := norm.NFKD.PropertiesString(char).Decomposition()
	if parts == nil && !unicode.Is(unicode.Mn, r) {
		give(unicode.ToLower(r))
	}
	for len(parts) > 0 {
		part, size := utf8.DecodeRune(parts)
		if parts = parts[size:]; !unicode.Is(unicode.Mn, part) {
			give(unicode.ToLower(part))
		}
	}
}

// searchPhrases takes what a user typed apart: each term, parted by spaces, or
// each part in double quotes, becomes a phrase of plain words, so that no
// character of it means anything to the database.
func searchPhrases(query string) []string {
	var phrases []string
	for i, part := range strings.Split(query, `"`) {
		terms := strings.Fields(part)
		if i%2 == 1 {
			terms = []string{part}
		}
		for _, term := range terms {
			if words := strings.Fields(plainWords(term)); len(words) > 0 && len(phrases) < maxPhrases {
				phrases = append(phrases, strings.Join(words[:min(len(words), maxPhrase)], " "))
			}
		}
	}
	return phrases
}
