package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// crowd is who and what the tickets of a large desk are about. Ids are those of
// the daemon's own desk where it made the thing.
type crowd struct {
	channels  []string            // by size, the largest first
	agents    []string            // by how much they do, the busiest first
	seen      map[string][]string // agents of a channel, by its id
	statuses  map[string]string   // ids by name
	markers   []string
	contacts  int
	companies int
}

// The names of the five statuses that every desk begins with.
const (
	statusNew      = "New"
	statusProgress = "In progress"
	statusAnswered = "Answered"
	statusSolved   = "Successfully closed"
	statusUnsolved = "Unsuccessfully closed"
)

// contactID and companyID name the customers, which are made by number.
func contactID(n int) string { return fmt.Sprintf("0000c047-ac70-7000-8000-%012x", n) }
func companyID(n int) string { return fmt.Sprintf("0000c019-a2e0-7000-8000-%012x", n) }

// address is a contact's.
func address(n int) string { return fmt.Sprintf("person%d@firm%d.example", n, n%1000) }

// skewed draws from 0 to n-1, the first ones far more often: half of all draws
// fall on about the first tenth.
func skewed(r *rand.Rand, n int) int {
	x := r.Float64()
	return int(x * x * x * float64(n))
}

// language is the words of a language, the frequent ones first, drawn as people
// use them (Zipf's law).
type language struct {
	words []string
	zipf  *rand.Zipf
}

// Frequent words of mail; those of phrases stand in salutations and endings.
const (
	greeting = "hello support team"
	closing  = "thank you and kind regards"
	request  = "please could you help us with"
)

func newLanguage(r *rand.Rand, size int) *language {
	v := &language{zipf: rand.NewZipf(r, 1.15, 8, uint64(size-1))} //nolint:gosec // positive
	for n := range size {
		v.words = append(v.words, word(n))
	}
	return v
}

// word spells a number in syllables, no two alike, and none like an English word.
func word(n int) string {
	const consonants, vowels = "bdfgklmnprstvz", "aeiou"
	var b strings.Builder
	b.WriteByte('q')
	for n++; n > 0; n /= len(consonants) * len(vowels) {
		rest := n % (len(consonants) * len(vowels))
		b.WriteByte(consonants[rest/len(vowels)])
		b.WriteByte(vowels[rest%len(vowels)])
	}
	return b.String()
}

func (v *language) draw() string { return v.words[v.zipf.Uint64()] }

// text writes so many words with the frequent phrases around them.
func (v *language) text(r *rand.Rand, words int) string {
	var b strings.Builder
	if r.Float64() < 0.6 {
		b.WriteString(greeting + " ")
	}
	if r.Float64() < 0.3 {
		b.WriteString(request + " ")
	}
	for range words {
		b.WriteString(v.draw())
		b.WriteByte(' ')
	}
	if r.Float64() < 0.5 {
		b.WriteString(closing)
	}
	return strings.TrimSpace(b.String())
}

// title is a subject of two to six words.
func (v *language) title(r *rand.Rand) string {
	words := make([]string, 2+r.IntN(5))
	for i := range words {
		words[i] = v.draw()
	}
	return strings.Join(words, " ")
}
