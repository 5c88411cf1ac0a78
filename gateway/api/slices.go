package api

import (
	"encoding/base64"
	"slices"

	"ticketgate/store"
)

// pageOf cuts a page out of a list that is short enough to be read whole: what
// a desk is made of. The cursor is the id of the last item.
func pageOf[R, T any](all []R, p Paging, id func(*R) string, shape func(R) T) (*page[T], error) {
	if p.Cursor != "" {
		last, err := base64.RawURLEncoding.DecodeString(p.Cursor)
		at := slices.IndexFunc(all, func(r R) bool { return id(&r) == string(last) })
		if err != nil || at < 0 {
			return nil, store.Invalid("cursor", "is not one that this list gave")
		}
		all = all[at+1:]
	}
	next := ""
	if len(all) > p.Limit {
		all = all[:p.Limit]
		next = base64.RawURLEncoding.EncodeToString([]byte(id(&all[p.Limit-1])))
	}
	return mapped(all, next, shape), nil
}

// newestFirst turns a list that is kept oldest first.
func newestFirst[R any](all []R) []R {
	turned := slices.Clone(all)
	slices.Reverse(turned)
	return turned
}
