package store

import (
	"context"
	"strings"
	"time"
)

// Erasure is the proof that a person was erased: what was removed, when and by
// whom, and nothing of the person.
type Erasure struct {
	ID        string
	ContactID string // that led to the person, and leads nowhere now
	AgentID   string // who asked for it
	StartedAt time.Time
	EndedAt   time.Time // zero: it broke off, and goes on when it is asked for again
	ErasureProof
	Work *ErasureWork // nil once all is removed
}

// ErasureProof counts what was removed or changed.
type ErasureProof struct {
	Contacts    int      `json:"contacts"`
	Tickets     int      `json:"tickets"`     // that the person had to do with
	Activities  int      `json:"activities"`  // of the person, emptied
	Redacted    int      `json:"redacted"`    // of others, from which the person was taken out
	Attachments int      `json:"attachments"` // of the person
	Mails       int      `json:"mails"`       // of the ledger
	Deliveries  int      `json:"deliveries"`  // to the person
	Cancelled   int      `json:"cancelled"`   // of them and of what told of the person, that had not left
	Quarantined int      `json:"quarantined"`
	Hashes      []string `json:"hashes"` // SHA-256 of the bytes that are gone: raw mail and files
}

// ErasureWork is what an erasure needs to go on after it broke off. It holds
// what the person is known by, and is gone in the end.
type ErasureWork struct {
	IDs       []string `json:"ids"`       // of contacts that lead to the person
	Keys      []string `json:"keys"`      // of addresses
	Addresses []string `json:"addresses"` // as they were typed
	Names     []string `json:"names"`
	Phones    []string `json:"phones"`
	Subjects  []string `json:"subjects"` // of the person's mail, wherever it lies
	Learnt    bool     `json:"learnt"`   // Subjects are all
	Next      int64    `json:"next"`     // the ticket from which on it is still to be done
	Blobs     []string `json:"blobs"`    // hashes of bytes that nothing may name any more
	Files     []string `json:"files"`    // and of those that lie outside of the database
}

const erasureColumns = `id, contact_id, agent_id, started_at, ended_at, doc, work`

func scanErasure(r Rows, e *Erasure) error {
	return r.Scan(&e.ID, &e.ContactID, &e.AgentID, at(&e.StartedAt), at(&e.EndedAt), doc(&e.ErasureProof), doc(&e.Work))
}

// PutErasure adds or replaces an erasure. A second open one of a contact is a
// conflict.
func (tx *Tx) PutErasure(ctx context.Context, e Erasure) error {
	_, err := tx.exec(ctx, `INSERT INTO erasures (`+erasureColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, doc = excluded.doc, work = excluded.work`,
		e.ID, e.ContactID, e.AgentID, us(e.StartedAt), us(e.EndedAt), toJSON(e.ErasureProof), toJSON(e.Work))
	return natural("id", err)
}

// OpenErasure gives the erasure of a contact that has not ended. In a
// transaction that writes it stays as it is until that ends.
func (tx *Tx) OpenErasure(ctx context.Context, contactID string) (Erasure, error) {
	sql := `SELECT ` + erasureColumns + ` FROM erasures WHERE contact_id = $1 AND ended_at = 0`
	if tx.write {
		sql += tx.db.dialect.LockRow
	}
	return first(ctx, tx, "erasure", scanErasure, sql, contactID)
}

// Erasures lists the erasures, newest first.
func (tx *Tx) Erasures(ctx context.Context, from string, limit int) ([]Erasure, string, error) {
	var w where
	if err := w.after(from, "erasures"); err != nil {
		return nil, "", err
	}
	limit = pageSize(limit)
	rows, err := list(ctx, tx, scanErasure, `SELECT `+erasureColumns+` FROM erasures`+w.sql()+` ORDER BY id DESC LIMIT `+w.arg(limit+1), w.args...)
	rows, next := page(rows, limit, func(e Erasure) cursor { return cursor{Sort: "erasures", ID: e.ID} })
	return rows, next, err
}

// ContactIDs gives all the ids that lead to a contact, its own first.
func (tx *Tx) ContactIDs(ctx context.Context, id string) ([]string, error) {
	return tx.contactIDs(ctx, id)
}

// LastNumber gives the highest number of a ticket.
func (tx *Tx) LastNumber(ctx context.Context) (int64, error) {
	return tx.count(ctx, `SELECT COALESCE(MAX(number), 0) FROM tickets`)
}

// TicketsNaming gives the tickets from one number on and before another that a
// person has to do with: his own, those whose conversation he belongs to, and
// those that hold one of his addresses in what was said, noted or sent. It reads
// all of them, so the range should be short.
func (tx *Tx) TicketsNaming(ctx context.Context, from, before int64, w ErasureWork) ([]int64, error) {
	var q where
	lo, hi := q.arg(from), q.arg(before)
	within := `ticket >= ` + lo + ` AND ticket < ` + hi
	sql := `SELECT number FROM tickets WHERE number >= ` + lo + ` AND number < ` + hi + ` AND contact_id <> '' AND ` + q.among(tx, "contact_id", w.IDs)
	sql += ` UNION SELECT ticket FROM participants WHERE ` + within + ` AND ` + q.among(tx, "key", w.Keys) +
		` UNION SELECT ticket FROM deliveries WHERE ` + within + ` AND ` + q.among(tx, "recipient_key", w.Keys)
	for _, words := range [][]string{w.Keys, w.Addresses} {
		for _, word := range words {
			detailed := q.arg(detailPattern(word))
			sql += ` UNION SELECT ticket FROM participants WHERE ` + within + ` AND ` + like(detailed, "key") +
				` UNION SELECT ticket FROM deliveries WHERE ` + within + ` AND ` + like(detailed, "recipient_key")
			for _, p := range []string{q.arg(wordPattern(word)), detailed} {
				sql += ` UNION SELECT number FROM tickets WHERE number >= ` + lo + ` AND number < ` + hi + ` AND (` + like(p, "subject", "tags") + `)` +
					` UNION SELECT ticket FROM activities WHERE ` + within + ` AND (` + like(p, "author", "detail", "subject", "text", "reply_text", "html") + `)` +
					` UNION SELECT d.ticket FROM deliveries d JOIN mails m ON m.id = d.mail_id WHERE d.ticket >= ` + lo + ` AND d.ticket < ` + hi +
					` AND (` + like(p, "m.content") + `)`
				for _, c := range []string{"times.comment", "alarms.comment", "field_values.value", "attachments.name", "drafts.doc"} {
					table, column, _ := strings.Cut(c, ".")
					sql += ` UNION SELECT ticket FROM ` + table + ` WHERE ` + within + ` AND (` + like(p, column) + `)`
				}
			}
		}
	}
	return list(ctx, tx, func(r Rows, n *int64) error { return r.Scan(n) }, sql+` ORDER BY 1`, q.args...)
}

// ActivitiesNamingMessage gives the activities that have to do with a
// Message-ID: whose it is, and which named it.
func (tx *Tx) ActivitiesNamingMessage(ctx context.Context, messageID string) ([]string, error) {
	return list(ctx, tx, func(r Rows, id *string) error { return r.Scan(id) },
		`SELECT DISTINCT activity_id FROM message_refs WHERE hash = $1 AND message_id = $2`, refHash(messageID), messageID)
}

// ForgetMessageID takes a Message-ID out of what ties mail together. Its hash
// stays, so that a mail that names it still finds its ticket. For an activity id
// it does so with that activity's row alone.
func (tx *Tx) ForgetMessageID(ctx context.Context, messageID, activityID string) error {
	return tx.queue(ctx, `UPDATE message_refs SET message_id = '' WHERE hash = $1 AND message_id = $2
		AND ($3 = '' OR activity_id = $3)`, refHash(messageID), messageID, activityID)
}
