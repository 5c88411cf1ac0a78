package threading

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// answer is where a mail goes and what it answers.
type answer struct {
	account  *store.MailAccount
	answered *store.Activity
}

// address fills From, To, Cc, Bcc and the subject of an outgoing mail.
func (e *entry) address(ctx context.Context, a *store.Activity) (*answer, error) {
	account, err := sendingAccount(e.desk, e.n.AccountID, e.desk.Channel(e.t.ChannelID), e.t.AccountID)
	if err != nil {
		return nil, err
	}
	answered, err := e.answered(ctx)
	if err != nil {
		return nil, err
	}
	if a.To, err = e.to(ctx, answered); err != nil {
		return nil, err
	}
	if a.Cc, err = recipients("cc", e.n.Cc); err != nil {
		return nil, err
	}
	if a.Bcc, err = recipients("bcc", e.n.Bcc); err != nil {
		return nil, err
	}
	if keptRecipients(answered) && e.n.To == nil {
		a.Cc, a.Bcc = merged(a.Cc, answered.Cc), merged(a.Bcc, answered.Bcc)
	}
	if e.n.To == nil && e.n.Cc == nil && copies(answered) {
		if err := e.copyParticipants(ctx, a, answered); err != nil {
			return nil, err
		}
	}
	if err := e.refuseOurselves(a.To, a.Cc, a.Bcc); err != nil {
		return nil, err
	}
	if err := e.fits(account, *e.t, e.body); err != nil {
		return nil, err
	}
	a.From = []store.Address{{Name: account.Name, Address: account.Address}}
	a.Author.Address, a.AccountID = account.Address, account.ID
	e.t.AccountID, e.t.LastOutgoingAt = account.ID, e.now
	if answered != nil {
		a.Answers = answered.ID
	}
	return &answer{account: account, answered: answered}, nil
}

// keptRecipients tells whether an activity was a call, and named whom the answer
// to it is for.
func keptRecipients(answered *store.Activity) bool {
	return answered != nil && answered.Medium != store.MediumEmail && len(answered.To)+len(answered.Cc)+len(answered.Bcc) > 0
}

// copies tells whether an answer to an activity goes to all who take part in
// the ticket: not one to a stranger, nor one whose recipients were named before.
func copies(answered *store.Activity) bool {
	return answered == nil || answered.Sender != store.SenderStranger && !keptRecipients(answered)
}

// answered gives the activity that the mail answers: the one that was named,
// else the newest that a participant wrote, and no machine; nil for none.
func (e *entry) answered(ctx context.Context) (*store.Activity, error) {
	if e.n.Answers != "" {
		a, err := e.tx.Activity(ctx, e.n.Answers)
		if store.IsNotFound(err) || err == nil && a.Ticket != e.t.Number {
			return nil, store.Invalid("answers", "there is no such activity in the ticket")
		}
		return &a, err
	}
	a, err := e.tx.LastIncoming(ctx, e.t.Number)
	if store.IsNotFound(err) {
		return nil, nil
	}
	return &a, err
}

// to gives whom the mail is for: as typed, else the author of what it answers,
// else the ticket's contact.
func (e *entry) to(ctx context.Context, answered *store.Activity) ([]store.Address, error) {
	if e.n.To != nil {
		list, err := recipients("to", e.n.To)
		if err == nil && len(list)+len(e.n.Cc)+len(e.n.Bcc) == 0 {
			err = noAddress()
		}
		return list, err
	}
	if list := replyAddresses(answered); len(list) > 0 {
		return list, nil
	}
	contact, err := e.tx.Contact(ctx, e.t.ContactID)
	if err != nil && !store.IsNotFound(err) {
		return nil, err
	}
	if len(contact.Emails) == 0 {
		return nil, noAddress()
	}
	return []store.Address{{Name: contact.Name, Address: contact.Emails[0].Address}}, nil
}

func noAddress() error {
	return &store.Error{Code: store.CodeInvalid, Reason: store.ReasonNoAddress, Field: "to", Message: "nobody's address is known; name one"}
}

// replyAddresses gives whom an answer to an activity goes to: of what we wrote
// ourselves its recipients, of a call what was noted with it, of a mail its
// Reply-To where that stays in the From's domain, else its author.
func replyAddresses(a *store.Activity) []store.Address {
	switch {
	case a == nil:
		return nil
	case (a.Type == store.TypeOutgoing || a.Medium != store.MediumEmail) && len(a.To) > 0:
		return a.To
	case len(a.ReplyTo) == 1 && !a.ReplyDiffers && sendable(a.ReplyTo[0].Address):
		return a.ReplyTo
	case sendable(a.Author.Address):
		return []store.Address{{Name: a.Author.Name, Address: a.Author.Address}}
	}
	return nil
}

func sendable(address string) bool {
	_, err := message.ParseAddress(address)
	return err == nil
}

// merged joins two lists of addresses, each address once.
func merged(list, more []store.Address) []store.Address {
	for _, b := range more {
		if !slices.ContainsFunc(list, func(a store.Address) bool { return strings.EqualFold(a.Address, b.Address) }) {
			list = append(list, b)
		}
	}
	return list
}

// refuseOurselves refuses a mail to an address of our own: it would come back
// as a new ticket.
func (w *work) refuseOurselves(to, cc, bcc []store.Address) error {
	for field, list := range map[string][]store.Address{"to": to, "cc": cc, "bcc": bcc} {
		for i, b := range list {
			if parsed, err := message.ParseAddress(b.Address); err == nil && w.ours(parsed) {
				return store.Invalid(fmt.Sprintf("%s[%d]", field, i), "is an address of our own")
			}
		}
	}
	return nil
}

// sendingAccount chooses the account that a mail goes out from: the one that
// was named, the ticket's, the channel's, the only active one.
func sendingAccount(desk *store.Desk, named string, channel *store.Channel, last string) (*store.MailAccount, error) {
	if named != "" {
		if a := desk.Account(named); canSend(a) {
			return a, nil
		}
		return nil, store.Invalid("account_id", "there is no such active ticket account")
	}
	candidates := []string{last}
	if channel != nil {
		candidates = append(candidates, channel.AccountID)
	}
	for _, id := range candidates {
		if a := desk.Account(id); canSend(a) {
			return a, nil
		}
	}
	var only *store.MailAccount
	for i := range desk.Accounts {
		a := &desk.Accounts[i]
		if !canSend(a) {
			continue
		}
		if only != nil {
			return nil, &store.Error{Code: store.CodeConflict, Reason: store.ReasonNoAccount, Message: "several mail accounts could send it; name one"}
		}
		only = a
	}
	if only == nil {
		return nil, &store.Error{Code: store.CodeConflict, Reason: store.ReasonNoAccount, Message: "there is no active mail account to send with"}
	}
	return only, nil
}

// canSend tells whether an account writes to customers.
func canSend(a *store.MailAccount) bool {
	return a != nil && a.Active && a.Type == store.AccountTicket
}
