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
	Ticket     int64
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
	for _, r := range foldText(text) {
		if r < utf8.RuneSelf && !plainASCII(byte(r)) || r >= utf8.RuneSelf && !unicode.IsLetter(r) && !unicode.IsNumber(r) {
			if word > 0 {
				b = append(b, ' ')
			}
			word = 0
			continue
		}
		if word += utf8.RuneLen(r); word <= maxWord {
			b = utf8.AppendRune(b, r)
		}
	}
	return strings.TrimSuffix(string(b), " ")
}

// plainASCII tells a letter or digit of a folded text.
func plainASCII(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

// foldText takes case and accents away.
func foldText(text string) string {
	if isASCII(text) {
		return strings.ToLower(text)
	}
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range norm.NFKD.String(strings.ToValidUTF8(text, " ")) {
		if !unicode.Is(unicode.Mn, r) {
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
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
			if words := plainWords(term); words != "" && len(phrases) < maxPhrases {
				phrases = append(phrases, words)
			}
		}
	}
	return phrases
}
