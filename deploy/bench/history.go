package main

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// oldTicket is a ticket as it stands at the end.
type oldTicket struct {
	number                                 int64
	id, kind, subject, channel, status     string
	marker, company, owner, responsible    string
	contact                                int // -1: none
	tags                                   string
	priority                               int
	activities, files                      int
	created, updated, lastIn, lastOut, end int64 // µs; end is 0 while it is open
}

// oldActivity is one entry of a ticket's history, in the order in which they
// were written over all tickets.
type oldActivity struct {
	n                       int64
	id                      string
	ticket                  *oldTicket
	seq                     int
	kind, author, from, to  string
	subject, text, fileName string
	at                      int64
}

// history makes tickets and activities of three years up to now.
type history struct {
	crowd   crowd
	rand    *rand.Rand
	words   *language
	tickets int
	now     time.Time
	weights []float64 // of the channels, summed up
	waiting agenda
	written int64
}

// The share of tickets in the largest channel; each next one is smaller, and the
// last have a few in ten thousand.
const (
	years       = 3
	meanHistory = 5   // activities of a ticket
	longest     = 200 // of one ticket
	manyWords   = 150000
)

func newHistory(c crowd, tickets int, seed uint64, now time.Time) *history {
	r := rand.New(rand.NewPCG(seed, 1))
	h := &history{crowd: c, rand: r, words: newLanguage(r, manyWords), tickets: tickets, now: now}
	total := 0.0
	for i := range c.channels {
		total += math.Pow(float64(i+1), -1.7)
		h.weights = append(h.weights, total)
	}
	return h
}

// run hands over each ticket, then each activity, both in the order of time.
func (h *history) run(ticket func(*oldTicket) error, activity func(*oldActivity) error) error {
	span := years * 365 * 24 * time.Hour
	begin := h.now.Add(-span).UnixMicro()
	step := span.Microseconds() / int64(h.tickets)
	for i := range h.tickets {
		at := begin + int64(i)*step
		if err := h.until(at, activity); err != nil {
			return err
		}
		t := h.ticket(int64(10001+i), at)
		if err := ticket(t); err != nil {
			return err
		}
	}
	return h.until(math.MaxInt64, activity)
}

// until hands over what was written by then.
func (h *history) until(at int64, give func(*oldActivity) error) error {
	for len(h.waiting) > 0 && h.waiting[0].at <= at {
		a, _ := heap.Pop(&h.waiting).(*oldActivity)
		h.written++
		a.n, a.id = h.written, h.uuid(a.at)
		if err := give(a); err != nil {
			return err
		}
	}
	return nil
}

// uuid is a UUIDv7 of a time.
func (h *history) uuid(at int64) string {
	ms, r := at/1000, h.rand.Uint64()
	return fmt.Sprintf("%08x-%04x-7%03x-%04x-%012x", ms>>16, ms&0xffff, r&0xfff, 0x8000|r>>12&0x3fff, r>>26&0xffffffffffff)
}

// ticket draws a ticket that began at a time, with its whole history, which
// waits for its turn.
func (h *history) ticket(number, at int64) *oldTicket {
	r, c := h.rand, &h.crowd
	t := &oldTicket{
		number: number, id: h.uuid(at), kind: pick(r, "email", 0.85, "enquiry", "internal"), subject: h.words.title(r),
		channel: h.channel(), contact: skewed(r, c.contacts), priority: []int{1, 1, 1, 1, 1, 1, 0, 2, 2, 3}[r.IntN(10)], tags: "[]", created: at,
	}
	t.company = companyID(t.contact % c.companies)
	if t.kind == "internal" {
		t.contact, t.company = -1, ""
	}
	if agents := c.seen[t.channel]; len(agents) > 0 {
		if r.Float64() < 0.85 {
			t.owner = agents[skewed(r, len(agents))]
		}
		if r.Float64() < 0.2 {
			t.responsible = agents[r.IntN(len(agents))]
		}
	}
	if len(c.markers) > 0 && r.Float64() < 0.05 {
		t.marker = c.markers[r.IntN(len(c.markers))]
	}
	if r.Float64() < 0.1 {
		t.tags = fmt.Sprintf(`["tag%d"]`, skewed(r, 300))
	}
	h.activities(t)
	h.settle(t)
	return t
}

// pick gives the first with its share, else one of the others.
func pick(r *rand.Rand, first string, share float64, others ...string) string {
	if r.Float64() < share {
		return first
	}
	return others[r.IntN(len(others))]
}

func (h *history) channel() string {
	x := h.rand.Float64() * h.weights[len(h.weights)-1]
	for i, w := range h.weights {
		if x < w {
			return h.crowd.channels[i]
		}
	}
	return h.crowd.channels[0]
}

// activities draws the history of a ticket: most are short, some go on for weeks.
func (h *history) activities(t *oldTicket) {
	r := h.rand
	count := min(1+int(r.ExpFloat64()*(meanHistory-1)+0.5), longest)
	at := t.created
	for seq := 1; seq <= count && at <= h.now.UnixMicro(); seq++ {
		h.add(t, seq, at)
		at += int64(r.ExpFloat64() * float64(16*time.Hour.Microseconds()))
	}
}

func (h *history) add(t *oldTicket, seq int, at int64) {
	r := h.rand
	a := &oldActivity{ticket: t, seq: seq, at: at, subject: t.subject, kind: "incoming", to: "support@desk.example"}
	t.activities, t.updated = seq, at
	switch {
	case t.kind == "internal" || seq > 1 && r.Float64() < 0.2:
		a.kind = "note"
	case seq > 1 && r.Float64() < 0.15:
		a.kind, a.subject = "status_change", ""
	case seq%2 == 0:
		a.kind = "outgoing"
	}
	customer := address(max(t.contact, 0))
	switch a.kind {
	case "incoming":
		a.from, t.lastIn = customer, at
		if r.Float64() < 0.1 {
			a.fileName = h.words.draw() + " " + h.words.draw() + ".pdf"
			t.files++
		}
	case "outgoing":
		a.from, a.to, t.lastOut = a.to, customer, at
	}
	if a.kind != "incoming" {
		a.author = t.owner
	}
	if a.kind != "status_change" {
		a.text = h.words.text(r, 4+int(r.ExpFloat64()*18))
	}
	heap.Push(&h.waiting, a)
}

// settle gives a ticket the status that it ends in: what is older than a month is
// closed, but for one in a hundred.
func (h *history) settle(t *oldTicket) {
	r, s := h.rand, h.crowd.statuses
	age := time.Duration(h.now.UnixMicro()-t.updated) * time.Microsecond
	open := r.Float64() < 0.01 || age < 30*24*time.Hour && r.Float64() < 0.6
	switch {
	case !open:
		t.status, t.end = s[pick(r, statusSolved, 0.85, statusUnsolved)], t.updated
	case t.lastOut == 0 && t.owner == "":
		t.status = s[statusNew]
	case t.lastOut > t.lastIn:
		t.status = s[statusAnswered]
	default:
		t.status = s[statusProgress]
	}
}

// agenda is what was not written yet, the earliest first (a heap).
type agenda []*oldActivity

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at < a[j].at }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }

// Push and Pop are for container/heap.
func (a *agenda) Push(x any) { *a = append(*a, x.(*oldActivity)) } //nolint:forcetypeassert // ours alone
func (a *agenda) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	(*a)[last], *a = nil, (*a)[:last]
	return x
}
