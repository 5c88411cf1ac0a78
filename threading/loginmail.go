package threading

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"ticketgate/store"
)

// LoginMail is a mail whose link lets an agent log in once.
type LoginMail struct {
	Token      string // of the link, URL-safe
	ExpiresAt  time.Time
	Invitation bool   // an admin sent it; else the agent asked for it
	By         string // name of that admin
}

// SendLoginMail writes such a mail to an agent into the ledger, in the caller's
// transaction. Its link begins with the configured address, wherever the request
// came in, and is the first one of the text. Errors: conflict (no_account) where
// no account can send it, or none that the agent's address isn't itself.
func (s *Service) SendLoginMail(ctx context.Context, tx *store.Tx, agent *store.Agent, l LoginMail) error {
	w, err := s.newWork(ctx, tx)
	if err != nil {
		return err
	}
	account := w.notifier(store.Ticket{})
	if account == nil {
		return noSender("no mail account is active that could send it")
	}
	m := w.newMail(store.MailNotification, account, store.Ticket{}, store.Activity{})
	// There is no activity that a reply could belong to.
	m.MessageID, m.ReplyTo = strings.ReplaceAll(m.ID, "-", "")+"@"+domainOf(account.Address), ""
	m.To = []store.Address{{Name: agent.Name, Address: agent.Email}}
	m.AutoSubmitted = "auto-generated"
	m.Subject, m.Text = l.words(strings.TrimSuffix(s.opt.PublicURL, "/"))
	if err := w.send(ctx, account, m, []string{agent.Email}); err != nil {
		return err
	}
	if len(w.due) == 0 {
		return noSender("the agent's address is a mail account's")
	}
	return w.done(ctx)
}

func noSender(message string) error {
	return &store.Error{Code: store.CodeConflict, Reason: store.ReasonNoAccount, Message: message}
}

// words gives the subject and the text.
func (l LoginMail) words(publicURL string) (subject, text string) {
	link := publicURL + "/login?" + url.Values{"token": {l.Token}}.Encode()
	until := l.ExpiresAt.UTC().Format("2 January 2006, 15:04 MST")
	if l.Invitation {
		return "Invitation to the help desk", fmt.Sprintf(
			"This link logs you in to the help desk once, until %s:\n\n%s\n\n"+
				"Set a password then, for the next time. %s invites you.\n", until, link, l.By)
	}
	return "Log in to the help desk", fmt.Sprintf(
		"You asked for a link to log in to the help desk. It works once, until %s:\n\n%s\n\n"+
			"If you did not ask for it, do nothing: without the link nobody gets in.\n", until, link)
}
