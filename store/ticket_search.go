package store

import "context"

// search gives the first places behind another one of which an activity matches
// a query. A query without a word finds nothing.
func (l *ticketLister) search(ctx context.Context, query string, from *place, n int) ([]place, error) {
	phrases := searchPhrases(query)
	if len(phrases) == 0 {
		return nil, nil
	}
	expression := l.tx.db.dialect.Phrases(phrases)
	few, err := l.tx.few(ctx, expression, l.tx.db.opt.Effort.Found, condition{})
	if err != nil {
		return nil, err
	}
	if few.Few {
		return l.gather(ctx, condition{from: few.Tickets, args: few.Args}, l.conditions, from, n)
	}
	return blockwise(from, n, l.tx.db.opt.Effort.Block, func(from *place, n int) ([]place, error) { return l.list(ctx, from, n) },
		func(of []place) ([]place, error) { return l.matching(ctx, expression, of) })
}

// blockwise gives the first n of a list, behind one of it, that match. It begins
// with so many of the list.
func blockwise[T any](from *T, n, size int, list func(from *T, n int) ([]T, error), matching func([]T) ([]T, error)) ([]T, error) {
	var found []T
	for ; ; size = min(2*size, lastBlock) {
		block, err := list(from, size)
		if err != nil || len(block) == 0 {
			return found, err
		}
		hits, err := matching(block)
		if err != nil {
			return nil, err
		}
		if found = append(found, hits...); len(found) >= n {
			return found[:n], nil
		}
		if len(block) < size {
			return found, nil
		}
		from = &block[size-1]
	}
}

// matching gives those of some places, in order, whose ticket matches.
func (l *ticketLister) matching(ctx context.Context, expression string, of []place) ([]place, error) {
	numbers := make([]int64, len(of))
	for i, p := range of {
		numbers[i] = p.number
	}
	hits, err := l.tx.searcher().Tickets(ctx, l.tx.session, expression, numbers)
	if err = l.tx.note(err); err != nil {
		return nil, err
	}
	return those(of, hits, func(p place) int64 { return p.number }), nil
}

// few finds what matches an expression where no more activities than about
// limit do; with a condition those of its tickets.
func (tx *Tx) few(ctx context.Context, expression string, limit int, of condition) (Hits, error) {
	if err := tx.ready(false, nil); err != nil {
		return Hits{}, err
	}
	within, args := of.numbers()
	hits, err := tx.searcher().Few(ctx, tx.session, expression, limit, numbered(within, 2), args...)
	return hits, tx.note(err)
}

func (tx *Tx) searcher() Searcher { return tx.db.driver.Searcher() }

// those gives the rows, in order, whose key is among some.
func those[R any, K comparable](rows []R, keys []K, key func(R) K) []R {
	among := make(map[K]bool, len(keys))
	for _, k := range keys {
		among[k] = true
	}
	var some []R
	for _, r := range rows {
		if among[key(r)] {
			some = append(some, r)
		}
	}
	return some
}
