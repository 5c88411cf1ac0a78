package threading

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"

	"ticketgate/store"
)

// The statuses and the channel of a fresh desk.
const (
	statusNew        = "New"
	statusInProgress = "In progress"
	statusAnswered   = "Answered"
	statusClosed     = "Successfully closed"
	statusFailed     = "Unsuccessfully closed"
	firstChannel     = "Support"
)

// Setup makes a fresh desk: the five statuses, the channel Support, and an
// admin with a token, which it gives. On a desk that has an agent it does
// nothing and created is false. It is safe to be called by many nodes at once:
// the statuses' names are unique, and the loser finds the desk made.
func (s *Service) Setup(ctx context.Context, adminEmail string) (token string, created bool, err error) {
	admin, err := address("admin", adminEmail)
	if err != nil {
		return "", false, err
	}
	err = s.do(ctx, func(ctx context.Context, w *work) error {
		token, created = "", false
		if len(w.desk.Agents) > 0 || len(w.desk.Statuses) > 0 {
			return nil
		}
		ids, err := w.firstStatuses(ctx)
		if err != nil {
			return err
		}
		channel := DefaultChannel(firstChannel, ids)
		if err := w.tx.PutChannel(ctx, channel); err != nil {
			return err
		}
		agent := store.Agent{ID: store.NewID(), Name: "Admin", Email: admin.String(), Key: admin.Key(), Role: store.RoleAdmin, Active: true}
		if err := w.tx.PutAgent(ctx, agent); err != nil {
			return err
		}
		plain, hash := NewToken()
		token, created = plain, true
		return w.tx.PutToken(ctx, store.Token{ID: store.NewID(), Name: "first start", AgentID: agent.ID, Hash: hash, CreatedAt: w.now})
	})
	if store.ReasonOf(err) == store.ReasonDuplicate {
		return "", false, nil // another node was first
	}
	return token, created, err
}

// firstStatuses makes the five statuses and gives their ids by name.
func (w *work) firstStatuses(ctx context.Context) (map[string]string, error) {
	ids := map[string]string{}
	for i, status := range []store.Status{
		{Name: statusNew, Responsibility: "us"},
		{Name: statusInProgress, Responsibility: "us"},
		{Name: statusAnswered, Responsibility: "customer"},
		{Name: statusClosed, Responsibility: "none", Closed: true},
		{Name: statusFailed, Responsibility: "none", Closed: true},
	} {
		status.ID, status.Position = store.NewID(), i+1
		ids[status.Name] = status.ID
		if err := w.tx.PutStatus(ctx, status); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// DefaultChannel gives a channel with the defaults of every field. statuses
// are ids by name; a name that is not among them leaves its field empty.
func DefaultChannel(name string, statuses map[string]string) store.Channel {
	return store.Channel{
		ID: store.NewID(), Name: name, Active: true, SubjectTag: tagPrepend, StrangerFollowup: strangerHold,
		FollowupScope: scopeCompany, NewSubject: store.NewSubjectSame, RequireDKIM: "off", AckLimit: defaultAckLimit,
		DefaultStatusID: statuses[statusNew], OnIncoming: statuses[statusInProgress], OnOutgoing: statuses[statusAnswered],
	}
}

// NewToken makes an API token of 256 random bits, and the hash that is kept.
func NewToken() (plain, hash string) {
	link, _ := NewLinkToken()
	plain = "tg_" + link
	return plain, HashToken(plain)
}

// NewLinkToken makes the token of a link that logs in: 256 random bits in
// base64url without padding, and the hash that is kept.
func NewLinkToken() (plain, hash string) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	plain = base64.RawURLEncoding.EncodeToString(b[:])
	return plain, HashToken(plain)
}

// HashToken gives the hash under which a token is kept.
func HashToken(plain string) string {
	sum := sha256.Sum256([]byte(plain))
	return hex.EncodeToString(sum[:])
}
