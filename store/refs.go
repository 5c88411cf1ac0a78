package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
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

// RefQuery asks what is noted about the Message-IDs that a mail names.
type RefQuery struct {
	IDs []string // that it answers
	Own string   // its own
	// Who wrote it: of the tickets that named one of IDs only those count to
	// which this contact, company or address belongs. All readers of a
	// newsletter name its id.
	ContactID, CompanyID, Key string
}

// The bounds of what one mail's ids lead to.
const (
	maxCarried   = 200 // activities that carry one of the ids
	maxNamedOwn  = 5   // activities that named the mail itself
	maxAncestors = 20  // activities of the sender's tickets that named one of the ids
	maxReaders   = 500 // of the newest that named one, whosever they are
)

// MessageRefs gives what is noted about a mail's Message-IDs, oldest activity
// first, each with the ticket that its activity lies on now. Where very much
// is, it gives some of it.
func (tx *Tx) MessageRefs(ctx context.Context, q RefQuery) ([]MessageRef, error) {
	ids := slices.Clone(q.IDs)
	if q.Own != "" {
		ids = append(ids, q.Own)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	hashes := make([]int64, len(ids))
	for i, id := range ids {
		hashes[i] = refHash(id)
	}
	among, args := tx.inNumbers("r.hash", 1, hashes)
	sql := `SELECT * FROM (` + carriedSQL(among) + `) carried`
	if q.Own != "" {
		args = append(args, refHash(q.Own))
		sql += ` UNION ALL SELECT * FROM (` + namedSQL(len(args)) + `) named`
	}
	if len(q.IDs) > 0 && q.ContactID+q.CompanyID+q.Key != "" {
		args = append(args, q.ContactID, q.CompanyID, q.Key)
		sql += ` UNION ALL SELECT * FROM (` + ancestorsSQL(among, len(args)) + `) ancestors`
	}
	erased := make(map[int64]string, len(ids)) // of a mail that was erased the hash alone is kept
	for _, id := range ids {
		erased[refHash(id)] = id
	}
	refs, err := list(ctx, tx, func(r Rows, m *MessageRef) error {
		var hash int64
		err := r.Scan(&m.MessageID, &m.ActivityID, &m.Kind, &m.Ticket, &hash)
		if m.MessageID == "" {
			m.MessageID = erased[hash]
		}
		return err
	}, sql+` ORDER BY 2, 3`, args...)
	// Two ids may share a hash.
	refs = slices.DeleteFunc(refs, func(m MessageRef) bool { return !slices.Contains(ids, m.MessageID) })
	return slices.Compact(refs), err
}

const refColumns = `SELECT r.message_id, r.activity_id, r.kind, a.ticket, r.hash FROM `

func limitedRefs(n int) string { return ` ORDER BY r.activity_id, r.kind LIMIT ` + strconv.Itoa(n) }

// carriedSQL asks for the activities that carry one of the ids.
func carriedSQL(among string) string {
	return refColumns + `message_refs r JOIN activities a ON a.id = r.activity_id
		WHERE ` + among + ` AND r.kind <> 'named'` + limitedRefs(maxCarried)
}

// namedSQL asks for the activities that named the mail itself, by the hash of
// its id in a parameter.
func namedSQL(param int) string {
	return refColumns + `message_refs r JOIN activities a ON a.id = r.activity_id
		WHERE r.hash = $` + strconv.Itoa(param) + ` AND r.kind = 'named'` + limitedRefs(maxNamedOwn)
}

// ancestorsSQL asks for the activities of the sender's tickets that named one
// of the ids. The parameters up to last are contact, company and address.
func ancestorsSQL(among string, last int) string {
	param := func(n int) string { return `$` + strconv.Itoa(last-2+n) }
	return refColumns + `(SELECT r.message_id, r.activity_id, r.kind, r.hash FROM message_refs r
			WHERE ` + among + ` AND r.kind = 'named' ORDER BY r.activity_id DESC LIMIT ` + strconv.Itoa(maxReaders) + `) r
		JOIN activities a ON a.id = r.activity_id JOIN tickets t ON t.number = a.ticket
		WHERE t.contact_id <> '' AND t.contact_id = ` + param(0) + ` OR t.company_id <> '' AND t.company_id = ` + param(1) + `
			OR EXISTS (SELECT 1 FROM participants p WHERE p.ticket = a.ticket AND p.key = ` + param(2) + ` AND p.trusted)` + limitedRefs(maxAncestors)
}
