package sqlite

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"ticketgate/store"
)

// searcher implements store.Searcher. The index knows an activity by its number
// n, which grows as activities are written.
type searcher struct{}

// farApart is how many numbers between two are rather jumped over than read.
// To find a place among the matches of a frequent word takes as long as to read
// some thousand.
const farApart = 3000

// Few reads up to the limit: the matches of a word come at ten in a microsecond.
func (searcher) Few(ctx context.Context, s store.Session, expression string, limit int, _ bool, within string, args ...any) (store.Hits, error) {
	sql := `SELECT rowid FROM search WHERE search MATCH $1`
	if within != "" {
		sql += ` AND +rowid IN (SELECT n FROM activities WHERE ticket IN (` + within + `))`
	}
	args = append([]any{expression}, args...)
	args = append(args, limit+1)
	hits, err := store.ReadColumn[int64](ctx, s, sql+` LIMIT $`+strconv.Itoa(len(args)), args...)
	if err != nil || len(hits) > limit {
		return store.Hits{}, err
	}
	const those = ` FROM activities WHERE n IN (SELECT value FROM json_each(?))`
	return store.Hits{Few: true, Tickets: `SELECT ticket` + those, IDs: `SELECT id` + those, Args: []any{asJSON(hits)}}, nil
}

func (searcher) Tickets(ctx context.Context, s store.Session, expression string, of []int64) ([]int64, error) {
	type entry struct{ n, ticket int64 }
	entries, err := store.ReadAll(ctx, s, func(r store.Rows, e *entry) error { return r.Scan(&e.n, &e.ticket) },
		`SELECT n, ticket FROM activities WHERE ticket IN (SELECT value FROM json_each($1))`, asJSON(of))
	if err != nil {
		return nil, err
	}
	tickets := make(map[int64]int64, len(entries)) // by number of an activity
	for _, e := range entries {
		tickets[e.n] = e.ticket
	}
	return matching(ctx, s, expression, tickets)
}

func (searcher) Activities(ctx context.Context, s store.Session, expression string, of []store.Searched) ([]string, error) {
	ids := map[int64]string{}
	for _, a := range of {
		ids[a.Position] = a.ID
	}
	return matching(ctx, s, expression, ids)
}

// matching gives the values, each once, of the numbers that match.
func matching[T comparable](ctx context.Context, s store.Session, expression string, of map[int64]T) ([]T, error) {
	found := map[T]bool{}
	for _, near := range neighbours(slices.Sorted(maps.Keys(of))) {
		// With the + the index is read along, and not asked for each number.
		hits, err := store.ReadColumn[int64](ctx, s, `SELECT rowid FROM search WHERE search MATCH $1 AND rowid BETWEEN $2 AND $3
			AND +rowid IN (SELECT value FROM json_each($4))`, expression, near[0], near[len(near)-1], asJSON(near))
		if err != nil {
			return nil, err
		}
		for _, n := range hits {
			found[of[n]] = true
		}
	}
	return slices.Collect(maps.Keys(found)), nil
}

// neighbours parts sorted numbers where they are far apart.
func neighbours(sorted []int64) [][]int64 {
	var all [][]int64
	begin := 0
	for i := range sorted {
		if i+1 == len(sorted) || sorted[i+1]-sorted[i] > farApart {
			all = append(all, sorted[begin:i+1])
			begin = i + 1
		}
	}
	return all
}
