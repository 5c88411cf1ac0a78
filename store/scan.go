package store

import (
	"encoding/json"
	"fmt"
	"time"
)

// us is how a time is kept: microseconds since 1970; 0 is none.
func us(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// ofUS is the time of microseconds.
func ofUS(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// timeColumn scans microseconds into a time.
type timeColumn struct{ t *time.Time }

func at(t *time.Time) timeColumn { return timeColumn{t} }

// Scan implements sql.Scanner.
func (c timeColumn) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a time column holds %T", src)
	}
	*c.t = ofUS(n)
	return nil
}

// jsonColumn scans a JSON document.
type jsonColumn struct{ v any }

func doc(v any) jsonColumn { return jsonColumn{v} }

// Scan implements sql.Scanner.
func (c jsonColumn) Scan(src any) error {
	switch s := src.(type) {
	case string:
		return json.Unmarshal([]byte(s), c.v)
	case []byte:
		return json.Unmarshal(s, c.v)
	}
	return fmt.Errorf("a JSON column holds %T", src)
}

// toJSON writes a record that holds nothing but strings, numbers and the like.
func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		// Only a type that JSON can't hold at all gets here: a fault of the
		// program, and one that the first test finds.
		panic(fmt.Sprintf("store: %T as JSON: %v", v, err))
	}
	return string(b)
}
