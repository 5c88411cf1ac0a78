package store

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// A list's limit.
const (
	defaultLimit = 50
	maxLimit     = 200
)

// pageSize brings a caller's limit into its bounds.
func pageSize(n int) int {
	switch {
	case n <= 0:
		return defaultLimit
	case n > maxLimit:
		return maxLimit
	}
	return n
}

// cursor is where a list goes on: after the row with this key. Clients hand it
// back as they got it; it says nothing that they may not know.
type cursor struct {
	Sort   string `json:"s,omitempty"` // which list, or which order
	Key    int64  `json:"k,omitempty"`
	Number int64  `json:"n,omitempty"`
	ID     string `json:"i,omitempty"`
}

// encode makes it URL-safe.
func (c cursor) encode() string {
	return base64.RawURLEncoding.EncodeToString([]byte(toJSON(c)))
}

// parseCursor reads a cursor of the given order; ok is false for the first
// page. A broken one is CodeInvalid with the field cursor.
func parseCursor(text, sort string) (c cursor, ok bool, err error) {
	if text == "" {
		return c, false, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil || c.Sort != sort || !utf8.ValidString(c.ID) || strings.ContainsRune(c.ID, 0) {
		return cursor{}, false, Invalid("cursor", "is not one that this list gave")
	}
	return c, true, nil
}

// page cuts rows that were read with one more than asked for, and makes the
// cursor of the next page.
func page[T any](rows []T, limit int, next func(T) cursor) ([]T, string) {
	if len(rows) <= limit {
		return rows, ""
	}
	rows = rows[:limit]
	return rows, next(rows[limit-1]).encode()
}
