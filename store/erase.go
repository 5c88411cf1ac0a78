package store

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// Rewriter takes a person out of what others wrote. Each function gives what
// is to stand in the place of what it is handed.
type Rewriter struct {
	Text func(string) string // plain words
	JSON func(string) string // a document; what comes out is one as well
	Mail func(kind MailKind, content string) string
}

// written is a column that may hold words about a person.
type written struct {
	table, key, column string
	json               bool
}

// aboutTicket are the columns that belong to a ticket and are not rewritten as
// records of their own.
func aboutTicket() []written {
	return []written{
		{"times", "id", "comment", false}, {"alarms", "id", "comment", false}, {"field_values", "field_id", "value", false},
		{"drafts", "id", "doc", true}, {"attachments", "id", "name", false},
		{"webhook_deliveries", "id", "body", true}, {"events", "id", "data", true},
	}
}

// RewriteTicket takes a person out of what is kept about a ticket beside the
// ticket and its activities. It gives the mails of the ledger that it changed.
func (tx *Tx) RewriteTicket(ctx context.Context, number int64, r Rewriter) (mails []string, err error) {
	for _, c := range aboutTicket() {
		fn := r.Text
		if c.json {
			fn = r.JSON
		}
		if _, err := tx.rewrite(ctx, c, `ticket = $1`, number, fn); err != nil {
			return nil, err
		}
	}
	of := `id IN (SELECT mail_id FROM deliveries WHERE ticket = $1)`
	for _, kind := range []MailKind{MailAnswer, MailAck, MailNotification, MailTemplate} {
		some, err := tx.rewrite(ctx, written{"mails", "id", "content", true}, of+` AND kind = '`+string(kind)+`'`, number,
			func(content string) string { return r.Mail(kind, content) })
		if err != nil {
			return nil, err
		}
		mails = append(mails, some...)
	}
	_, err = tx.rewrite(ctx, written{"deliveries", "id", "last_text", false}, `ticket = $1`, number, r.Text)
	if err != nil {
		return nil, err
	}
	_, err = tx.rewrite(ctx, written{"attempts", "delivery_id || '/' || n", "text", false},
		`delivery_id IN (SELECT id FROM deliveries WHERE ticket = $1)`, number, r.Text)
	return mails, err
}

// RewriteEverywhere takes a person, known by some words, out of what belongs to
// no ticket, or to one that he has nothing else to do with.
func (tx *Tx) RewriteEverywhere(ctx context.Context, words []string, r Rewriter) error {
	for _, c := range []written{
		{"drafts", "id", "doc", true}, {"views", "id", "doc", true}, {"webhook_deliveries", "id", "body", true},
		{"events", "id", "data", true}, {"audit", "id", "doc", true},
	} {
		for _, pattern := range patternsOf(words) {
			changed, err := tx.rewrite(ctx, c, like("$1", c.column), pattern, r.JSON)
			if err != nil {
				return err
			}
			for _, id := range changed {
				if err := tx.ForgetAnswers(ctx, "/"+c.table+"/"+id); err != nil { // of the POST that made it
					return err
				}
			}
		}
	}
	return nil
}

// patternsOf gives the patterns that find words, and addresses with a +detail as
// well. What they find may only look like it.
func patternsOf(words []string) []string {
	var all []string
	for _, word := range words {
		all = append(all, wordPattern(word))
		if strings.Contains(word, "@") {
			all = append(all, detailPattern(word))
		}
	}
	return all
}

// rewrite gives each row of a table, in a scope with one argument, what fn makes
// of a column. It tells the keys of those that changed.
func (tx *Tx) rewrite(ctx context.Context, c written, scope string, arg any, fn func(string) string) ([]string, error) {
	type row struct{ key, value string }
	key := `CAST(` + c.key + ` AS TEXT)`
	rows, err := list(ctx, tx, func(r Rows, v *row) error { return r.Scan(&v.key, &v.value) },
		`SELECT `+key+`, `+c.column+` FROM `+c.table+` WHERE (`+scope+`)`, arg)
	var changed []string
	for _, old := range rows {
		value := fn(old.value)
		if value == old.value {
			continue
		}
		changed = append(changed, old.key)
		err := tx.queue(ctx, `UPDATE `+c.table+` SET `+c.column+` = $3 WHERE (`+scope+`) AND `+key+` = $2`, arg, old.key, value)
		if err != nil {
			return nil, err
		}
	}
	return changed, err
}

// EraseRecipient takes the recipient out of the deliveries of a ticket that go
// to one of some addresses, and cancels what has not left. It tells how many
// there are, and how many were cancelled.
func (tx *Tx) EraseRecipient(ctx context.Context, number int64, keys []string, now time.Time) (all, cancelled int, err error) {
	among, args := tx.in("recipient_key", 3, keys)
	args = append([]any{number, us(now)}, args...)
	n, err := tx.exec(ctx, `UPDATE deliveries SET `+cancelling+` WHERE ticket = $1 AND `+among+` AND `+unsent, args...)
	if err != nil {
		return 0, 0, err
	}
	err = tx.queue(ctx, `UPDATE attempts SET text = '' WHERE delivery_id IN
		(SELECT id FROM deliveries WHERE ticket = $1 AND CAST($2 AS BIGINT) >= 0 AND `+among+`)`, args...)
	if err != nil {
		return 0, 0, err
	}
	touched, err := tx.exec(ctx, `UPDATE deliveries SET recipient = '', recipient_key = '', domain = '', return_path = '', last_text = '',
		updated_at = $2 WHERE ticket = $1 AND `+among, args...)
	return int(touched), int(n), err
}

const (
	unsent     = `state NOT IN ('sent', 'failed', 'cancelled')`
	cancelling = `state = 'cancelled', reason = 'erased', fence = fence + 1, lease_until = 0, next_attempt_at = 0, updated_at = $2`
)

// CancelErased cancels what has not left of some mails, and tells how many.
func (tx *Tx) CancelErased(ctx context.Context, mails []string, now time.Time) (int, error) {
	if len(mails) == 0 {
		return 0, nil
	}
	among, args := tx.in("mail_id", 3, mails)
	n, err := tx.exec(ctx, `UPDATE deliveries SET `+cancelling+` WHERE CAST($1 AS BIGINT) >= 0 AND `+among+` AND `+unsent,
		append([]any{int64(0), us(now)}, args...)...)
	return int(n), err
}

// DeleteAttachments removes the files of an activity from its ticket, and gives
// them. Their bytes stay.
func (tx *Tx) DeleteAttachments(ctx context.Context, a Activity) ([]Attachment, error) {
	all, err := tx.Attachments(ctx, a.ID)
	files := all[a.ID]
	if err != nil || len(files) == 0 {
		return nil, err
	}
	if err := tx.queue(ctx, `DELETE FROM attachments WHERE activity_id = $1`, a.ID); err != nil {
		return nil, err
	}
	return files, tx.countFiles(ctx, a.Ticket, -int64(len(files)))
}

// DeleteParticipants removes addresses from a ticket's conversation.
func (tx *Tx) DeleteParticipants(ctx context.Context, number int64, keys []string) error {
	among, args := tx.in("key", 2, keys)
	return tx.queue(ctx, `DELETE FROM participants WHERE ticket = $1 AND `+among, append([]any{number}, args...)...)
}

// ForgetAnswers forgets what was answered to POSTs about a ticket or another
// thing: /tickets/10001, below the API's prefix. Those that still run stay.
func (tx *Tx) ForgetAnswers(ctx context.Context, thing string) error {
	return tx.queue(ctx, `DELETE FROM answered WHERE status <> 0 AND (path LIKE '%' || $1 OR path LIKE '%' || $1 || '/%'
		OR location LIKE '%' || $1 OR location LIKE '%' || $1 || '/%')`, thing)
}

// QuarantinedNaming gives the mail of the quarantine that may come from one of
// some addresses: from joann@ as well, where ann@ is meant. Whose it is the
// caller has to look.
func (tx *Tx) QuarantinedNaming(ctx context.Context, addresses []string) ([]Quarantined, error) {
	found := map[string]Quarantined{}
	for _, pattern := range patternsOf(addresses) {
		some, err := list(ctx, tx, scanQuarantined, `SELECT `+quarantineColumns+` FROM quarantine
			WHERE `+like("$1", "envelope_from", "from_"), pattern)
		if err != nil {
			return nil, err
		}
		for _, q := range some {
			found[q.ID] = q
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Quarantined) int { return strings.Compare(a.ID, b.ID) }), nil
}

// RewriteQuarantine takes a person, known by some words, out of what is told of
// the mail of others there.
func (tx *Tx) RewriteQuarantine(ctx context.Context, words []string, r Rewriter) error {
	for _, pattern := range patternsOf(words) {
		for _, column := range []string{"to_", "envelope_to"} {
			if _, err := tx.rewrite(ctx, written{"quarantine", "id", column, true}, like("$1", column), pattern, r.JSON); err != nil {
				return err
			}
		}
		for _, column := range []string{"subject", "trace"} {
			if _, err := tx.rewrite(ctx, written{"quarantine", "id", column, false}, like("$1", column), pattern, r.Text); err != nil {
				return err
			}
		}
	}
	return nil
}

// NamesOfContacts gives names and phones of contacts, also of those that went
// into another one.
func (tx *Tx) NamesOfContacts(ctx context.Context, ids []string) (names, phones []string, err error) {
	among, args := tx.in("id", 1, ids)
	err = tx.query(ctx, func(r Rows) error {
		var name string
		var some []string
		err := r.Scan(&name, doc(&some))
		names, phones = append(names, name), append(phones, some...)
		return err
	}, `SELECT name, phones FROM contacts WHERE `+among, args...)
	return names, phones, err
}

// EraseContacts removes contacts, whatever names them: their tickets have none
// then.
func (tx *Tx) EraseContacts(ctx context.Context, ids, keys []string) error {
	for _, c := range []struct {
		sql, column string
		values      []string
	}{
		{`UPDATE tickets SET contact_id = '', version = version + 1 WHERE contact_id <> '' AND `, "contact_id", ids},
		{`DELETE FROM contact_emails WHERE `, "contact_id", ids},
		{`DELETE FROM contact_phones WHERE `, "contact_id", ids},
		{`DELETE FROM contact_lookups WHERE `, "contact_id", ids},
		{`UPDATE book_cards SET contact_id = '' WHERE contact_id <> '' AND `, "contact_id", ids},
		{`DELETE FROM levels_of WHERE kind = 'contact' AND `, "id", ids},
		{`DELETE FROM contacts WHERE `, "id", ids},
		{`DELETE FROM openings WHERE `, "key", keys},
	} {
		if len(c.values) == 0 {
			continue
		}
		among, args := tx.in(c.column, 1, c.values)
		if _, err := tx.exec(ctx, c.sql+among, args...); err != nil {
			return err
		}
	}
	return tx.eraseCounts(ctx, keys)
}

// eraseCounts forgets how often tickets were opened from some addresses, also
// with a +detail, and how often somebody tried to log in by them.
func (tx *Tx) eraseCounts(ctx context.Context, keys []string) error {
	for _, key := range keys {
		if err := tx.queue(ctx, `DELETE FROM openings WHERE `+like("$1", "key"), exactly(detailPattern(key))); err != nil {
			return err
		}
		for _, pattern := range []string{wordPattern(key), detailPattern(key)} {
			if err := tx.queue(ctx, `DELETE FROM attempts_left WHERE `+like("$1", "key"), `%|account|`+exactly(pattern)); err != nil {
				return err
			}
		}
	}
	return nil
}

// exactly makes a pattern of the whole value of one that finds a part.
func exactly(pattern string) string { return strings.TrimSuffix(strings.TrimPrefix(pattern, "%"), "%") }
