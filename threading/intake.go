package threading

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// Incoming is a mail as the listener took it, parsed and judged.
type Incoming struct {
	Raw        []byte
	Message    *message.Message
	Auth       store.Auth
	From       string   // the envelope's sender, "" for the null sender
	Recipients []string // the envelope's recipients, as typed
	// AlignedDKIM tells of a DKIM pass that aligns with the From domain.
	AlignedDKIM bool
	// PolicyKnownNone tells, beside the verdict error, that the From domain is
	// known to publish no policy: the mail has the rights of unverified.
	PolicyKnownNone bool
	// Trusts tells whether a header field may be trusted as far as the verdict
	// goes, by its name in lower case; nil trusts all.
	Trusts func(field string) bool
	// OneReply tells that all recipients share one reply (SMTP): a refusal by
	// policy of one among several becomes quarantine.
	OneReply   bool
	DeliveryID string
	QueueID    string // of the MTA in front, where it is known
	ReceivedAt time.Time
	Trace      string // header fields of ours, to stand before Raw, each with CRLF

	handed *handed // nil: it came by itself
}

// Result is what became of a mail for one recipient. Err is nil exactly when
// everything is committed and synced.
type Result struct {
	Err        error
	Outcome    Outcome
	Ticket     int64
	ActivityID string
	MatchedBy  SignalKind
}

// Take files a mail for each of its recipients, in one transaction, and gives
// a result for each, in order. The same mail again is a duplicate and adds
// nothing. A mail that the database can't hold goes to the quarantine with its
// raw bytes; any other trouble is for all recipients alike.
func (s *Service) Take(ctx context.Context, in Incoming) []Result {
	mail, err := s.stage(ctx, in)
	if err != nil {
		return failAll(in, err)
	}
	results, err := s.file(ctx, mail, (*filing).run)
	if store.CodeOf(err) == store.CodeData {
		s.log.Error("the database refused a mail, it goes to the quarantine", "delivery_id", in.DeliveryID, "err", err)
		results, err = s.file(ctx, mail.rawOnly(), (*filing).unstorable)
	}
	if err != nil {
		return failAll(in, err)
	}
	for i := range results {
		results[i].Err = ownTrouble(results[i].Err)
	}
	return results
}

func failAll(in Incoming, err error) []Result {
	results := make([]Result, len(in.Recipients))
	for i := range results {
		results[i].Err = ownTrouble(err)
	}
	return results
}

// ownTrouble keeps an error of ours from being read as a word about the mail:
// a row that is missing must not become a bounce.
func ownTrouble(err error) error {
	switch store.CodeOf(err) {
	case "", store.CodeUnavailable, store.CodeRejected, store.CodeInternal:
		return err
	}
	return &store.Error{Code: store.CodeInternal, Message: "the mail could not be filed", Err: err}
}

// file runs one way of filing in a transaction.
func (s *Service) file(ctx context.Context, mail *delivered, run func(*filing, context.Context) error) ([]Result, error) {
	var results []Result
	filed := func(ctx context.Context, tx *store.Tx) error {
		f, err := s.newFiling(ctx, tx, mail)
		if err != nil {
			return err
		}
		if err := run(f, ctx); err != nil {
			return err
		}
		results = f.results
		return f.done(ctx)
	}
	err := twice(func() error { return s.db.Update(ctx, filed) })
	return results, err
}

// delivered is an Incoming made ready before the transaction: its blobs are staged,
// its hashes known.
type delivered struct {
	Incoming
	raw    store.Blob
	parts  []store.Blob // of Message.Attachments, in order
	hashes []string     // of the raw bytes, then of what follows each leading Received field
	author message.Address
	sole   bool // author is exactly one plain mailbox
	said   word // of the outside CRM about the author
}

func (s *Service) stage(ctx context.Context, in Incoming) (*delivered, error) {
	m := receivedMail(in)
	m.said = s.askOfMail(ctx, m)
	var err error
	if m.raw, err = s.db.Stage(ctx, in.Raw); err != nil {
		return nil, err
	}
	for _, a := range in.Message.Attachments {
		blob, err := s.db.Stage(ctx, a.Data)
		if err != nil {
			return nil, err
		}
		m.parts = append(m.parts, blob)
	}
	return m, nil
}

// receivedMail reads what the transaction needs to know of a mail. A null
// sender that reports nothing is a machine's answer (RFC 5321, 4.5.5).
func receivedMail(in Incoming) *delivered {
	marked := *in.Message
	if in.From == "" && !marked.Automatic.Is {
		marked.Automatic = message.Automatic{Is: true, Kind: "auto_reply", Reasons: []string{"null sender"}}
	}
	if isReport(&marked) && marked.Bounce == nil {
		marked.Bounce = &message.Bounce{}
	}
	in.Message = &marked
	m := &delivered{Incoming: in, hashes: hashes(in.Raw, in.Message)}
	m.author, m.sole = in.Message.Author()
	return m
}

// rawOnly is the same mail with nothing taken from its text.
func (m *delivered) rawOnly() *delivered {
	bare := *m
	bare.Message, bare.parts, bare.Trace = &message.Message{}, nil, ""
	bare.author, bare.sole, bare.said = message.Address{}, false, word{}
	return &bare
}

// hashes gives the keys by which a redelivery is known again. A mail that the
// MTA requeued is the stored bytes with Received fields on top, so what follows
// each leading one is looked for as well.
func hashes(raw []byte, m *message.Message) []string {
	list := []string{hash(raw)}
	if m.Excess != "" { // for the quarantine, and its many fields would cost a hash each
		return list
	}
	rest := raw
	for i := range m.Header.Fields {
		f := &m.Header.Fields[i]
		if !bytes.EqualFold([]byte(f.Name), []byte("Received")) || !bytes.HasPrefix(rest, f.Raw) {
			break
		}
		rest = bytes.TrimPrefix(rest[len(f.Raw):], []byte("\r"))
		rest = bytes.TrimPrefix(rest, []byte("\n"))
		list = append(list, hash(rest))
	}
	return list
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// filing is one run of a transaction that files a mail.
type filing struct {
	*delivered
	*work
	accounts []target // distinct, in the order of the envelope
	results  []Result
	acked    bool               // one acknowledgement in all
	behalf   *store.Agent       // who filed the mail for the customer that author is; nil: the author himself
	mailed   bool               // a trusted mailer wrote it, for the customer that author is
	released bool               // an admin, or a later look-up, let it out of the quarantine
	vouched  bool               // an admin did
	misnamed bool               // an agent filed it for what is no customer
	refs     []store.MessageRef // what is known of the ids that the mail names
	dry      bool               // it is only explained, or tried
	ruled    []store.RuleTrace  // the rules that put it into the quarantine
}

// target is one account that the mail is for.
type target struct {
	account    *store.MailAccount
	channel    *store.Channel
	recipients []int // their places in the envelope
	tokens     []string
}

func (s *Service) newFiling(ctx context.Context, tx *store.Tx, m *delivered) (*filing, error) {
	w, err := s.newWork(ctx, tx)
	if err != nil {
		return nil, err
	}
	f := &filing{delivered: m, work: w, results: make([]Result, len(m.Recipients)), acked: m.handed != nil}
	for i, recipient := range m.Recipients {
		account, extension, err := s.recipient(f.desk, recipient)
		if err != nil { // the account went between RCPT and here
			f.results[i].Err = err
			continue
		}
		f.aim(account, extension, i)
	}
	f.forCustomer()
	f.byMailer()
	return f, nil
}

// aim adds an envelope recipient to the target of its account.
func (f *filing) aim(account *store.MailAccount, extension string, i int) {
	at := slices.IndexFunc(f.accounts, func(t target) bool { return t.account.ID == account.ID })
	if at < 0 {
		at = len(f.accounts)
		f.accounts = append(f.accounts, target{account: account, channel: f.desk.Channel(account.DefaultChannelID)})
	}
	t := &f.accounts[at]
	t.recipients = append(t.recipients, i)
	if extension != "" {
		t.tokens = append(t.tokens, extension)
	}
}

// settle gives all recipients of a target the same result.
func (f *filing) settle(t target, r Result) {
	for _, i := range t.recipients {
		f.results[i] = r
	}
}

// run files the mail for the accounts that don't have it yet.
func (f *filing) run(ctx context.Context) error {
	earlier, err := f.withoutDuplicates(ctx)
	if err != nil || len(f.accounts) == 0 {
		return err
	}
	if err := f.touch(ctx); err != nil {
		return err
	}
	if reason := f.unwanted(); reason != "" {
		return f.quarantine(ctx, f.accounts, reason)
	}
	if isReport(f.Message) { // a report of ours is known by its token, not by a signature
		return f.bounce(ctx)
	}
	if err := f.applyPolicy(ctx); err != nil || len(f.accounts) == 0 {
		return err
	}
	return f.thread(ctx, earlier)
}

// touch notes when the accounts last got mail.
func (f *filing) touch(ctx context.Context) error {
	for _, t := range f.accounts {
		if !f.s.received.due(t.account.ID, f.now) {
			continue
		}
		if err := f.tx.TouchAccount(ctx, t.account.ID, f.now, time.Time{}); err != nil {
			return err
		}
		f.tx.AfterCommit(func() { f.s.received.note(t.account.ID, f.now) })
	}
	return nil
}

// withoutDuplicates drops the accounts that have this mail already, and gives
// what those, and other accounts of ours, made of it before.
func (f *filing) withoutDuplicates(ctx context.Context) ([]store.DeliveryKey, error) {
	// what follows the leading Received fields is the same in each copy of a mail
	words := append(f.threadWords(), "mail "+f.hashes[len(f.hashes)-1])
	if err := f.tx.Serialise(ctx, words...); err != nil {
		return nil, err
	}
	keys, err := f.tx.DeliveryKeys(ctx, "", f.hashes)
	if err != nil {
		return nil, err
	}
	var rest []target
	for _, t := range f.accounts {
		at := slices.IndexFunc(keys, func(k store.DeliveryKey) bool { return k.AccountID == t.account.ID })
		if at < 0 {
			rest = append(rest, t)
			continue
		}
		f.settle(t, Result{Outcome: OutcomeDuplicate, Ticket: keys[at].Ticket, ActivityID: keys[at].ActivityID})
	}
	f.accounts = rest
	return keys, nil
}

// threadWords are the words that mails of one thread share: its own id, and
// those that it answers and that the thread began with. Two that come to two
// nodes at the same moment must find each other.
func (f *filing) threadWords() []string {
	var words []string
	add := func(id string) {
		if word := "id " + id; id != "" && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	add(f.Message.MessageID)
	for _, ids := range [][]string{f.Message.InReplyTo, f.Message.References} {
		if len(ids) > 0 {
			add(ids[0])
			add(ids[len(ids)-1])
		}
	}
	return words
}

// claim writes the delivery key of an account. It is false when another node
// filed the same mail at the same moment: then that one's result stands.
func (f *filing) claim(ctx context.Context, t target, k store.DeliveryKey) (bool, error) {
	k.At = f.now
	added, err := f.tx.AddDeliveryKey(ctx, t.account.ID, f.hashes[0], k)
	if err != nil || added {
		return added, err
	}
	keys, err := f.tx.DeliveryKeys(ctx, t.account.ID, f.hashes[:1])
	if err != nil {
		return false, err
	}
	r := Result{Outcome: OutcomeDuplicate}
	if len(keys) > 0 {
		r.Ticket, r.ActivityID = keys[0].Ticket, keys[0].ActivityID
	}
	f.settle(t, r)
	return false, nil
}

// unwanted gives the reason for which a mail goes to the quarantine unread.
func (f *filing) unwanted() string {
	for _, mark := range f.Message.Header.Values(loopField) {
		if f.s.tokens.isLoopMark(mark) {
			return "loop"
		}
	}
	return f.Message.Excess
}

// loopField carries the loop mark on every mail of ours.
const loopField = "X-Ticketgate-Loop"

// applyPolicy drops the accounts whose channel demands an aligned DKIM pass
// that the mail doesn't have: into the quarantine, or refused.
func (f *filing) applyPolicy(ctx context.Context) error {
	if f.AlignedDKIM || f.handed != nil {
		return nil
	}
	var rest, withheld []target
	for _, t := range f.accounts {
		policy := "off"
		if t.channel != nil {
			policy = t.channel.RequireDKIM
		}
		switch {
		case policy == "reject" && !(f.OneReply && len(f.Recipients) > 1):
			f.settle(t, Result{Err: f.refusal()})
		case policy == "reject" || policy == "quarantine":
			withheld = append(withheld, t)
		default:
			rest = append(rest, t)
		}
	}
	f.accounts = rest
	if len(withheld) == 0 {
		return nil
	}
	return f.quarantine(ctx, withheld, "dkim")
}

func (f *filing) refusal() error {
	if f.Auth.Verdict == store.AuthError {
		return &store.Error{Code: store.CodeUnavailable, Reason: store.ReasonDKIMUnknown, Message: "the DKIM key can't be looked up"}
	}
	return &store.Error{Code: store.CodeRejected, Reason: store.ReasonDKIMRequired, Message: "no DKIM signature of the From domain passes"}
}

// quarantine keeps the mail as one item for all the targets.
func (f *filing) quarantine(ctx context.Context, targets []target, reason string) error {
	id := store.NewID()
	var mine []target
	for _, t := range targets {
		ok, err := f.claim(ctx, t, store.DeliveryKey{QuarantineID: id})
		if err != nil {
			return err
		}
		if ok {
			mine = append(mine, t)
			f.settle(t, Result{Outcome: OutcomeQuarantine})
		}
	}
	if len(mine) == 0 {
		return nil
	}
	if err := f.tx.AddBlob(ctx, f.raw); err != nil {
		return err
	}
	auth := f.Auth
	q := store.Quarantined{
		ID: id, Reason: reason, AccountID: mine[0].account.ID, EnvelopeFrom: message.Clean(f.From),
		EnvelopeTo: f.envelopeTo(mine), From: addresses(f.Message.From), To: addresses(f.Message.To),
		Subject: f.Message.Subject, RawHash: f.raw.Hash, Trace: f.Trace, Auth: &auth, CreatedAt: f.now, Rules: f.ruled,
	}
	if err := f.tx.InsertQuarantined(ctx, q); err != nil {
		return err
	}
	return f.recheckLater(ctx, id)
}

// unstorable keeps a mail whose text the database refused.
func (f *filing) unstorable(ctx context.Context) error {
	return f.quarantine(ctx, f.accounts, "unstorable")
}

// recheckLater has the verdict looked up again when DNS failed.
func (f *filing) recheckLater(ctx context.Context, id string) error {
	if f.Auth.Verdict != store.AuthError {
		return nil
	}
	return f.tx.PutRecheck(ctx, store.Recheck{ID: id, DueAt: f.now.Add(recheckDelays[0])})
}

// recheckDelays are the times between one look-up that failed and the next.
var recheckDelays = [...]time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 8 * time.Hour}

func (f *filing) envelopeTo(targets []target) []string {
	var list []string
	for _, t := range targets {
		for _, i := range t.recipients {
			list = append(list, message.Clean(f.Recipients[i]))
		}
	}
	return list
}

func addresses(list []message.Address) []store.Address {
	var out []store.Address
	for _, a := range list {
		if a.Local != "" || a.Domain != "" || a.Name != "" {
			out = append(out, store.Address{Name: a.Name, Address: a.String()})
		}
	}
	return out
}
