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
	l.blocks = true
	b := blocks[place]{
		size:     l.tx.db.opt.Effort.Block,
		sparse:   sparseInAll,
		list:     func(from *place, n int) ([]place, error) { return l.list(ctx, from, n) },
		matching: func(of []place) ([]place, error) { return l.matching(ctx, expression, of) },
		whole:    func() bool { return l.rest != nil },
	}
	return searched(from, n, b, condition{}, func(guess bool, _ condition) ([]place, bool, error) {
		l.rest = nil
		few, err := l.tx.few(ctx, expression, l.tx.db.opt.Effort.Found, guess, condition{})
		if err != nil || !few.Few {
			return nil, false, err
		}
		found, err := l.gather(ctx, condition{from: few.Tickets, args: few.Args}, l.conditions, from, n)
		return found, true, err
	})
}

// Of how many that are looked at one has to match, for the others to be found in
// that way too: of all, and of those that somebody sees who sees few.
const (
	sparseInAll = 512
	sparseInFew = 16
)

// searched gathers what is few, or else looks through blocks. Where few of them
// match it counts what it had guessed, or what is within a condition, before it
// looks through all.
func searched[T any](from *T, n int, b blocks[T], within condition, gather func(guess bool, within condition) ([]T, bool, error)) ([]T, error) {
	found, few, err := gather(true, condition{})
	if err != nil || few {
		return found, err
	}
	found, ended, err := b.first(from, n)
	if err != nil || ended {
		return found, err
	}
	found, few, err = gather(false, within)
	if err != nil || few {
		return found, err
	}
	b.sparse = 0
	found, _, err = b.first(from, n)
	return found, err
}

// blocks looks through a list, block by block, for what matches.
type blocks[T any] struct {
	size     int // of the first block
	list     func(from *T, n int) ([]T, error)
	matching func([]T) ([]T, error)
	whole    func() bool // whether the list is in memory; nil: it is not
	// sparse is how many may be looked at for each that matches, and a few more:
	// else it is given up; 0: never.
	sparse int
}

// next is the size of the block behind one, when n are wanted and so many found. What
// is there as a whole costs nothing more: then it is about what the rest needs, or,
// as many are searched almost as fast as some, all that go together.
func (b blocks[T]) next(size, looked, found, n int) int {
	if b.whole == nil || !b.whole() {
		return min(2*size, lastBlock)
	}
	if needed := 2 * (n - found) * looked / max(found, 1); needed <= 4*size {
		return max(needed, 1)
	}
	return lastBlock
}

// fewMore bears chance: what is first may be without a match.
const fewMore = 4

// first gives the first n behind one of the list, and whether it came to an end.
func (b blocks[T]) first(from *T, n int) ([]T, bool, error) {
	var found []T
	looked := 0
	for size := b.size; ; size = b.next(size, looked, len(found), n) {
		block, err := b.list(from, size)
		if err != nil || len(block) == 0 {
			return found, true, err
		}
		hits, err := b.matching(block)
		if err != nil {
			return nil, false, err
		}
		if found = append(found, hits...); len(found) >= n {
			return found[:n], true, nil
		}
		if len(block) < size {
			return found, true, nil
		}
		if looked += size; b.sparse > 0 && (len(found)+fewMore)*b.sparse < looked {
			return nil, false, nil
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

// few finds what matches an expression where no more activities than limit do;
// with a condition those of its tickets.
func (tx *Tx) few(ctx context.Context, expression string, limit int, guess bool, of condition) (Hits, error) {
	if err := tx.ready(false, nil); err != nil {
		return Hits{}, err
	}
	within, args := of.numbers()
	hits, err := tx.searcher().Few(ctx, tx.session, expression, limit, guess, numbered(within, 2), args...)
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
