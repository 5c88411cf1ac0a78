package verify

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"ticketgate/threading/message"
)

// reasonReplayed is the reason of a signature that came to too many.
const reasonReplayed = "replayed"

// maxReplays bounds the signatures that are remembered.
const maxReplays = 64 << 10

// replays remembers whom signatures came to: for each, up to most+1 recipients.
// It forgets those first that were not seen for longest. It is safe for
// concurrent use.
type replays struct {
	most int
	seed maphash.Seed

	mu         sync.Mutex
	young, old map[uint64][]uint64 // recipients by signature, hashed; guarded by mu
}

func newReplays(most int) *replays {
	return &replays{most: most, seed: maphash.MakeSeed(), young: map[uint64][]uint64{}}
}

// tooMany tells whether a signature came to more than most recipients, these
// included. Only with count it remembers them.
func (r *replays) tooMany(value []byte, recipients []string, count bool) bool {
	key := maphash.Bytes(r.seed, value)
	r.mu.Lock()
	defer r.mu.Unlock()
	seen, fresh := r.young[key]
	if !fresh {
		seen = r.old[key]
	}
	for _, recipient := range recipients {
		if id := maphash.String(r.seed, recipient); len(seen) <= r.most && !slices.Contains(seen, id) {
			seen = append(slices.Clip(seen), id)
		}
	}
	if count && len(seen) > 0 {
		r.keep(key, seen)
	}
	return len(seen) > r.most
}

// keep must be called with mu held.
func (r *replays) keep(key uint64, seen []uint64) {
	if _, ok := r.young[key]; !ok && len(r.young) == maxReplays/2 {
		r.old, r.young = r.young, map[uint64][]uint64{}
	}
	r.young[key] = seen
}

// refuseReplayed takes the pass from signatures of the author's domain that
// came to too many of us, unless the signed part of the mail names one of us: a
// list or a newsletter goes to many under one signature, but one that was
// written to us says so.
func (v *Verifier) refuseReplayed(f *facts, r Request) {
	var recipients []string
	for i := range f.checks {
		c := &f.checks[i]
		if c.Result != resultPass || !f.aligned(*c) {
			continue
		}
		if recipients == nil {
			recipients = recipientKeys(r.Recipients)
		}
		if v.replays.tooMany(c.value, recipients, !r.Explain) && !addressesUs(c, r) {
			c.Result, c.Reason, c.headers = resultPolicy, reasonReplayed, nil
			f.replayed = true
		}
	}
}

func recipientKeys(recipients []string) []string {
	keys := make([]string, 0, len(recipients))
	for _, recipient := range recipients {
		if a, err := message.ParseAddress(recipient); err == nil {
			a.Local, _, _ = strings.Cut(a.Local, "+") // the extensions of an account are one recipient
			recipient = a.Key()
		}
		keys = append(keys, recipient)
	}
	return keys
}

// addressesUs tells whether a To or Cc under the signature names an address of
// ours. One that isn't signed may have been added for the replay.
func addressesUs(c *check, r Request) bool {
	if r.Ours == nil {
		return false
	}
	names := func(list []message.Address) bool {
		return slices.ContainsFunc(list, func(a message.Address) bool { return a.Valid() && r.Ours(a.Key()) })
	}
	return slices.Contains(c.headers, "to") && names(r.Message.To) || slices.Contains(c.headers, "cc") && names(r.Message.Cc)
}
