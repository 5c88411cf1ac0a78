package postgres

import (
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// The limits of a tsvector: the highest position, and how many positions one
// word has.
const (
	maxPosition  = 16383
	maxPositions = 255
)

// document makes the tsvector of plain words here: the server's own parser
// takes longer than all else that a mail costs it, and takes some words apart
// in its own way.
func document(words string) any {
	at := map[string][]pgtype.TSVectorPosition{}
	n := 0
	for word := range strings.SplitSeq(words, " ") {
		if word == "" {
			continue
		}
		// Behind the last position it begins anew: neighbours stay neighbours, so
		// that an address at the end of a long mail is found. That two words a
		// lap apart look like neighbours is rare, and harmless.
		position := uint16(n%maxPosition + 1) //nolint:gosec // bounded
		n++
		if len(at[word]) < maxPositions {
			at[word] = append(at[word], pgtype.TSVectorPosition{Position: position})
		}
	}
	v := pgtype.TSVector{Valid: true, Lexemes: make([]pgtype.TSVectorLexeme, 0, len(at))}
	for word, positions := range at {
		if n > maxPosition {
			positions = inOrder(positions)
		}
		v.Lexemes = append(v.Lexemes, pgtype.TSVectorLexeme{Word: word, Positions: positions})
	}
	// The server would have to sort them.
	slices.SortFunc(v.Lexemes, func(a, b pgtype.TSVectorLexeme) int { return strings.Compare(a.Word, b.Word) })
	return v
}

// inOrder sorts positions, each once, as the server demands.
func inOrder(positions []pgtype.TSVectorPosition) []pgtype.TSVectorPosition {
	slices.SortFunc(positions, func(a, b pgtype.TSVectorPosition) int { return int(a.Position) - int(b.Position) })
	return slices.CompactFunc(positions, func(a, b pgtype.TSVectorPosition) bool { return a.Position == b.Position })
}

// phrases makes a tsquery. The words are letters and digits, so quotes are all
// that they need.
func phrases(list []string) string {
	all := make([]string, len(list))
	for i, phrase := range list {
		all[i] = "('" + strings.ReplaceAll(phrase, " ", "' <-> '") + "')"
	}
	return strings.Join(all, " & ")
}
