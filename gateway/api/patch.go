package api

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// opt is a field of a JSON Merge Patch (RFC 7396): absent, null, or a value.
type opt[T any] struct {
	Sent  bool
	Null  bool
	Value T
}

// UnmarshalJSON is called only for a field that is there.
func (o *opt[T]) UnmarshalJSON(b []byte) error {
	o.Sent = true
	if bytes.Equal(b, []byte("null")) {
		o.Null = true
		return nil
	}
	return json.Unmarshal(b, &o.Value)
}

// Schema is the value's, or null.
func (o opt[T]) Schema(r huma.Registry) *huma.Schema {
	s := r.Schema(reflect.TypeFor[T](), false, "")
	s.Nullable = true
	return s
}

// clearable gives a pointer to the value, to the zero value for null, and nil
// for what was not sent.
func (o opt[T]) clearable() *T {
	if !o.Sent {
		return nil
	}
	return &o.Value
}

// into sets target where the field was sent; null clears it.
func (o opt[T]) into(target *T) {
	if o.Sent {
		*target = o.Value
	}
}

// must is into for a field that can't be cleared: it adds to errs for null.
func (o opt[T]) must(target *T, field string, errs *[]fieldError) {
	if o.Null {
		*errs = append(*errs, fieldError{Field: field, Message: "can't be cleared"})
		return
	}
	o.into(target)
}

// refused makes one problem of the fields that were refused, or nil.
func refused(errs []fieldError) error {
	if len(errs) == 0 {
		return nil
	}
	p := newProblem(422, "a field was refused")
	p.Errors = errs
	return p
}
