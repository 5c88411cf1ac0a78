package threading

import (
	"context"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// Bounds of a trial over past mail.
const (
	MaxTried      = 500
	maxTriedBytes = 256 << 20 // of all mails together
	trialPage     = 50
)

// Trial is a rule that is tried on mail that is here.
type Trial struct {
	Rule  store.Rule // of RuleOnIntake
	Since time.Time  // no older mail; zero: any
	Limit int        // of mails, 1 to MaxTried
}

// TrialResult tells at which mails the rule would have looked, and where it held.
type TrialResult struct {
	Tried   int // mails
	Matched int
	Failed  int    // where the condition erred or cost too much
	Why     string // of the first that failed
	Mails   []TriedMail
}

// TriedMail is a mail for which the rule held.
type TriedMail struct {
	Ticket     int64
	ActivityID string
	Subject    string
	CreatedAt  time.Time
	Did        []string // what it would have done
	Refused    []string
}

// TryRule looks at the newest mails in tickets that the agent sees with a rule,
// and stores nothing. It looks at each when it came; mail, contact, company and
// ticket are as they are kept today, and a mail whose bytes are gone is passed over. Errors: invalid, as CheckRule.
func (s *Service) TryRule(ctx context.Context, agent *store.Agent, t Trial) (TrialResult, error) {
	desk, err := s.db.Desk(ctx)
	if err != nil {
		return TrialResult{}, err
	}
	if t.Rule.Name == "" {
		t.Rule.Name = "trial"
	}
	if err := s.CheckRule(desk, &t.Rule); err != nil {
		return TrialResult{}, err
	}
	run := &trial{s: s, agent: agent, t: t, rule: s.readRule(t.Rule, nil)}
	for before := ""; before != "end"; {
		if before, err = run.page(ctx, before); err != nil {
			return run.result, err
		}
	}
	return run.result, nil
}

type trial struct {
	s      *Service
	agent  *store.Agent
	t      Trial
	rule   *rule
	result TrialResult
	bytes  int
}

// page tries the mails behind one, and gives the last; "end" where there is no more.
func (r *trial) page(ctx context.Context, before string) (string, error) {
	var mails []store.Activity
	err := r.s.db.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		mails, err = tx.IncomingMails(ctx, before, trialPage)
		return err
	})
	if err != nil {
		return "end", err
	}
	for _, a := range mails {
		if r.result.Tried >= r.t.Limit || r.bytes > maxTriedBytes || a.CreatedAt.Before(r.t.Since) {
			return "end", nil
		}
		if err := r.one(ctx, a); err != nil {
			return "end", err
		}
		before = a.ID
	}
	if len(mails) < trialPage {
		return "end", nil
	}
	return before, nil
}

// one tries a mail.
func (r *trial) one(ctx context.Context, a store.Activity) error {
	raw, err := r.s.db.Blob(ctx, a.RawHash)
	if store.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	r.bytes += len(raw)
	in := Incoming{Raw: raw, Message: message.Parse(raw), From: a.EnvelopeFrom, Recipients: a.EnvelopeTo, ReceivedAt: a.CreatedAt}
	if a.Auth != nil {
		in.Auth = *a.Auth
	}
	return r.s.db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		w, err := r.s.newWork(ctx, tx)
		if err != nil {
			return err
		}
		t, err := tx.Ticket(ctx, a.Ticket)
		if err != nil || !w.desk.Sees(r.agent.ID, t.ChannelID) {
			return hard(err)
		}
		w.now = a.CreatedAt
		return r.judge(ctx, &filing{delivered: receivedMail(in), work: w, dry: true}, &t, a)
	})
}

func (r *trial) judge(ctx context.Context, f *filing, t *store.Ticket, a store.Activity) error {
	var who person
	var err error
	if who.contact, err = f.tx.Contact(ctx, a.Author.ID); hard(err) != nil {
		return err
	}
	who.company = who.contact.CompanyID
	to := target{account: &store.MailAccount{}}
	if account := f.desk.Account(a.AccountID); account != nil {
		to.account = account
	}
	ruling, err := f.judge(ctx, []*rule{r.rule}, mailLook{t: t, a: a, to: to, who: who, opens: a.Seq == 1})
	if err != nil {
		return err
	}
	if err := ruling.sift(ctx, &a); err != nil {
		return err
	}
	r.result.Tried++
	trace := ruling.trace[0]
	switch trace.Result {
	case store.RuleMatched:
		r.result.Matched++
		r.result.Mails = append(r.result.Mails, TriedMail{
			Ticket: a.Ticket, ActivityID: a.ID, Subject: a.Subject, CreatedAt: a.CreatedAt, Did: trace.Did, Refused: trace.Refused,
		})
	case store.RuleFailed, store.RuleOverLimit:
		if r.result.Failed++; r.result.Why == "" {
			r.result.Why = trace.Why
		}
	}
	return nil
}
