// Package threading decides what a message, an answer, a call or a change does
// to a ticket, and writes it down: which ticket a mail belongs to, whose it
// is, who is told, what goes out. It sends nothing itself: what is to go out
// becomes rows of the ledger, in the same transaction.
package threading

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
	"ticketgate/threading/rules"
)

// Options are what a Service is made of.
type Options struct {
	DB        *store.DB
	Secrets   []string // the first signs tokens, all verify
	Keys      []string // ticket keys: the first writes, all are read; default T
	Hostname  string
	PublicURL string // of links in mails
	Now       func() time.Time
	Log       *slog.Logger
	// Queued is told of ledger rows after the commit that wrote them. It must
	// return soon; what it fails to queue is found by the reconciler.
	Queued func(ctx context.Context, due []store.Due)
	// AcksPerHour bounds acknowledgements to everybody together; default 500.
	AcksPerHour int
	// Directory is the outside CRM; nil: there is none. It must not be a nil
	// pointer in an interface.
	Directory directory
	// Timezone is the desk's, of digests; nil: UTC.
	Timezone *time.Location
	// TrustedHeaders are the header fields that filters of our own write, such as
	// X-Spam-Score. Rules believe them where they stand above the last of the
	// TrustedHops Received fields that our own servers add to every mail; default 1.
	TrustedHeaders []string
	TrustedHops    int
	// Ruled is told of each look of a rule what came of it; nil: nobody is.
	Ruled func(store.RuleResult)
	// DirectoryRefresh is how old what the CRM said of a contact may grow;
	// default 24 h.
	DirectoryRefresh time.Duration
}

// Service is the one writer of tickets. It is safe for concurrent use, also by
// many nodes on one store.
type Service struct {
	db       *store.DB
	tokens   *Tokens
	keys     Keys
	opt      Options
	log      *slog.Logger
	now      func() time.Time
	received lately // accounts whose last mail was noted
	sent     lately

	conditions *rules.Compiler
	rules      atomic.Pointer[rulebook]
	calendars  atomic.Pointer[calendars]
}

// touchEvery is how exact an account's last_received_at and last_sent_at are:
// a row that every mail writes would be a bottleneck of its own.
const touchEvery = 10 * time.Second

// lately remembers for which ids something was done in the last touchEvery. It
// is safe for concurrent use.
type lately struct {
	mu sync.Mutex
	at map[string]time.Time
}

// due tells whether it is time to do it again for an id.
func (l *lately) due(id string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, ok := l.at[id]
	return !ok || now.Sub(last) >= touchEvery || now.Before(last)
}

// note remembers that it was done.
func (l *lately) note(id string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = map[string]time.Time{}
	}
	l.at[id] = now
}

// New makes a Service.
func New(opt Options) (*Service, error) {
	if opt.DB == nil {
		return nil, errors.New("threading needs a store")
	}
	tokens, err := NewTokens(opt.Secrets)
	if err != nil {
		return nil, err
	}
	if len(opt.Keys) == 0 {
		opt.Keys = []string{"T"}
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Timezone == nil {
		opt.Timezone = time.UTC
	}
	if opt.AcksPerHour == 0 {
		opt.AcksPerHour = 500
	}
	if opt.DirectoryRefresh == 0 {
		opt.DirectoryRefresh = defaultRefresh
	}
	if opt.Ruled == nil {
		opt.Ruled = func(store.RuleResult) {}
	}
	conditions, err := rules.NewCompiler()
	if err != nil {
		return nil, err
	}
	s := &Service{conditions: conditions, db: opt.DB, tokens: tokens, keys: opt.Keys, opt: opt, log: opt.Log}
	s.now = func() time.Time { return opt.Now().UTC().Truncate(time.Microsecond) }
	return s, nil
}

// Reference gives a ticket's reference, such as T#10001.
func (s *Service) Reference(number int64) string { return s.keys.Reference(number) }

// address gives the comparison key of what a person typed, or an error that
// names the field.
func address(field, typed string) (message.Address, error) {
	a, err := message.ParseAddress(strings.TrimSpace(typed))
	if err != nil {
		return a, store.Invalid(field, "is not an e-mail address")
	}
	return a, nil
}

// splitExtension takes the part after the last plus off a local part: an
// account's own address may hold one, a token holds none.
func splitExtension(a message.Address) (base message.Address, extension string) {
	plus := strings.LastIndexByte(a.Local, '+')
	if plus <= 0 {
		return a, ""
	}
	extension = a.Local[plus+1:]
	a.Local = a.Local[:plus]
	return a, extension
}

// account finds the mail account of an envelope recipient, and the extension
// that stood behind a plus.
func account(desk *store.Desk, a message.Address) (*store.MailAccount, string) {
	if found := desk.AccountByKey(a.Key()); found != nil {
		return found, ""
	}
	base, extension := splitExtension(a)
	if extension == "" {
		return nil, ""
	}
	if found := desk.AccountByKey(base.Key()); found != nil {
		return found, extension
	}
	return bounceAccount(desk, base.Key()), extension
}

// bounceAccount finds the account whose bounces go to an address of their own.
func bounceAccount(desk *store.Desk, key string) *store.MailAccount {
	for i := range desk.Accounts {
		bounce := desk.Accounts[i].BounceAddress
		if bounce == "" {
			continue
		}
		if a, err := message.ParseAddress(bounce); err == nil && a.Key() == key {
			return &desk.Accounts[i]
		}
	}
	return nil
}

// Known tells whether an address is an agent's or an account's: mail that
// claims to come from it must prove so.
func (s *Service) Known(ctx context.Context, key string) bool {
	desk, err := s.db.RecentDesk(ctx)
	if err != nil {
		return true // the careful answer while the store is out; such a mail gets 451 anyway
	}
	return desk.AgentByKey(key) != nil || desk.AccountByKey(key) != nil
}

// Recipient says whether mail to an envelope recipient would be taken.
// Errors: not_found (unknown_recipient), unavailable (account_off, no_account).
func (s *Service) Recipient(ctx context.Context, recipient string) error {
	desk, err := s.db.RecentDesk(ctx)
	if err != nil {
		return err
	}
	_, _, err = s.recipient(desk, recipient)
	return err
}

func (s *Service) recipient(desk *store.Desk, recipient string) (*store.MailAccount, string, error) {
	if len(desk.Accounts) == 0 {
		return nil, "", &store.Error{Code: store.CodeUnavailable, Reason: store.ReasonNoAccount, Message: "the desk has no mail account yet"}
	}
	unknown := &store.Error{Code: store.CodeNotFound, Reason: store.ReasonUnknownRecipient, Message: "no mail account has this address"}
	if strings.EqualFold(recipient, "postmaster") { // RFC 5321, 4.5.1
		recipient += "@" + s.opt.Hostname
	}
	a, err := message.ParseAddress(recipient)
	if err != nil {
		return nil, "", unknown
	}
	found, extension := account(desk, a)
	switch {
	case found == nil && domainOfNobody(desk, a):
		unknown.Reason = store.ReasonUnknownDomain
		return nil, "", unknown
	case found == nil:
		return nil, "", unknown
	case !found.Active:
		return nil, "", &store.Error{Code: store.CodeUnavailable, Reason: store.ReasonAccountOff, Message: "the mail account is switched off"}
	}
	return found, extension, nil
}

// domainOfNobody tells whether no account has an address in a's domain.
func domainOfNobody(desk *store.Desk, a message.Address) bool {
	domain := message.DomainKey(a.Domain)
	for i := range desk.Accounts {
		if _, d, _ := strings.Cut(desk.Accounts[i].Key, "@"); d == domain {
			return false
		}
		for _, alias := range desk.Accounts[i].AliasKeys {
			if _, d, _ := strings.Cut(alias, "@"); d == domain {
				return false
			}
		}
	}
	return true
}
