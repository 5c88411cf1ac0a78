package gateway

import (
	"context"
	"strings"
	"time"

	"ticketgate/gateway/verify"
	"ticketgate/store"
	"ticketgate/threading"
)

// keptMail is what is stored about a mail beside its bytes.
type keptMail struct {
	rawHash, from, trace, deliveryID, queueID string
	to                                        []string
	at                                        time.Time
}

// loadKept reads an activity or a quarantined mail.
func loadKept(ctx context.Context, db *store.DB, id string) (k keptMail, err error) {
	err = db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		a, err := tx.Activity(ctx, id)
		if err == nil {
			k = keptMail{a.RawHash, a.EnvelopeFrom, a.Trace, a.DeliveryID, a.QueueID, a.EnvelopeTo, a.CreatedAt}
			return nil
		}
		if !store.IsNotFound(err) {
			return err
		}
		q, err := tx.Quarantined(ctx, id)
		k = keptMail{q.RawHash, q.EnvelopeFrom, q.Trace, "", "", q.EnvelopeTo, q.CreatedAt}
		return err
	})
	return k, err
}

// readKept reads a stored mail anew, as of the time when it came: parsed,
// verified, and with today's results in its trace.
func (in *intake) readKept(ctx context.Context, db *store.DB, id string) (*readMail, error) {
	kept, err := loadKept(ctx, db, id)
	if err != nil {
		return nil, err
	}
	raw, err := db.Blob(ctx, kept.rawHash)
	if err != nil {
		return nil, err
	}
	mail, err := in.read(ctx, verify.Request{Raw: raw, Recipients: kept.to, Received: kept.at}, in.log)
	if err != nil {
		return nil, err
	}
	mail.From, mail.Recipients = kept.from, kept.to
	mail.DeliveryID, mail.QueueID, mail.ReceivedAt = kept.deliveryID, kept.queueID, kept.at
	mail.Trace = judgedAgain(kept.trace, in.hostname, mail.auth)
	return mail, nil
}

// judgedAgain puts the new results in the place of the old ones.
func judgedAgain(trace, hostname string, auth verify.Auth) string {
	if trace == "" {
		return auth.Header(hostname) + "\r\n"
	}
	rest := string(verify.Strip([]byte(trace+"\r\n"), hostname))
	rest = strings.TrimSuffix(rest, "\r\n")
	first, others, _ := strings.Cut(rest, "\r\n") // the return path stays on top
	return first + "\r\n" + auth.Header(hostname) + "\r\n" + others
}

// handIn files a mail that an agent holds.
func (in *intake) handIn(ctx context.Context, agent *store.Agent, raw []byte, account string, ticket int64) (threading.Result, error) {
	mail, err := in.read(ctx, verify.Request{Raw: raw}, in.log)
	if err != nil {
		return threading.Result{}, err
	}
	mail.DeliveryID, mail.ReceivedAt = store.NewID(), time.Now().UTC()
	mail.Trace = mail.auth.Header(in.hostname) + "\r\n"
	r, err := in.desk.HandIn(ctx, agent, mail.Incoming, account, ticket)
	if err == nil {
		in.log.Info("mail handed in", "delivery_id", mail.DeliveryID, "message_id", mail.Message.MessageID, "agent", agent.ID,
			"outcome", r.Outcome, "ticket", r.Ticket, "activity", r.ActivityID, "verdict", mail.Auth.Verdict)
	}
	return r, err
}

// release makes a ticket of a quarantined mail.
func (in *intake) release(ctx context.Context, db *store.DB, agent *store.Agent, id string) (store.Ticket, error) {
	mail, err := in.readKept(ctx, db, id)
	if err != nil {
		return store.Ticket{}, err
	}
	return in.desk.Release(ctx, agent, id, mail.Incoming)
}
