package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// MessageRef says what a Message-ID has to do with a ticket.
type MessageRef struct {
	MessageID  string // without brackets
	ActivityID string
	Ticket     int64  // where the activity lies now; not used by AddMessageRefs
	Kind       string // one of the Ref words
}

// The kinds of MessageRef.
const (
	RefOwn    = "own"    // a mail of ours
	RefTheirs = "theirs" // a mail that came in
	RefNamed  = "named"  // named in References or In-Reply-To of one that came in
	RefMoved  = "moved"  // of an activity that was moved to another ticket
)

// refHash is what a Message-ID is looked up by: ids may be long, an index
// should not be.
func refHash(messageID string) int64 {
	sum := sha256.Sum256([]byte(messageID))
	return int64(binary.BigEndian.Uint64(sum[:8])) //nolint:gosec // a hash; its sign means nothing
}

// AddMessageRefs notes Message-IDs of an activity. One that is noted already
// is no error.
func (tx *Tx) AddMessageRefs(ctx context.Context, refs []MessageRef) error {
	for _, r := range refs {
		err := tx.queue(ctx, `INSERT INTO message_refs (hash, activity_id, kind, message_id) VALUES ($1, $2, $3, $4)
			ON CONFLICT (hash, activity_id, kind) DO NOTHING`, refHash(r.MessageID), r.ActivityID, r.Kind, r.MessageID)
		if err != nil {
			return err
		}
	}
	return nil
}

// MessageRefs gives what is noted about Message-IDs, oldest activity first,
// each with the ticket that its activity lies on now.
func (tx *Tx) MessageRefs(ctx context.Context, ids []string) ([]MessageRef, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	hashes := make([]int64, len(ids))
	for i, id := range ids {
		hashes[i] = refHash(id)
	}
	condition, args := tx.inNumbers("r.hash", 1, hashes)
	refs, err := list(ctx, tx, func(r Rows, m *MessageRef) error {
		return r.Scan(&m.MessageID, &m.ActivityID, &m.Kind, &m.Ticket)
	}, `SELECT r.message_id, r.activity_id, r.kind, a.ticket FROM message_refs r
		JOIN activities a ON a.id = r.activity_id
		WHERE `+condition+` ORDER BY r.activity_id, r.kind`, args...)
	// Two ids may share a hash.
	refs = slices.DeleteFunc(refs, func(m MessageRef) bool { return !slices.Contains(ids, m.MessageID) })
	return refs, err
}
