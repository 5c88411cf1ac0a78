package main

import (
	"bytes"
	"crypto"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-msgauth/dkim"
)

// mix says what mails a run is made of. Shares lie between 0 and 1.
type mix struct {
	size    int     // octets of a message, about
	signed  float64 // share that is DKIM-signed
	replies float64 // share that answers an earlier mail of its sender
	html    float64 // share that is multipart/alternative, with an HTML part beside the text
	senders int     // how many different addresses write
	to      string  // the recipient of all
}

// mail is one message, ready for the wire.
type mail struct {
	from string // envelope sender
	wire []byte // dot-stuffed, with the line of the final dot
}

// domains is how many different domains sign; they share one key, so that each
// server has that many look-ups and the client one key to make.
const domains = 20

// lag is how many mails lie between a mail and the first one that may answer it,
// so that concurrent sessions never send an answer before what it answers.
const lag = 256

// maxThreads bounds the memory of what may be answered.
const maxThreads = 20_000

// writer makes mails, no two of them alike. It is for one goroutine.
type writer struct {
	mix     mix
	key     crypto.Signer
	random  *rand.Rand
	run     uint64 // sets this run's mails apart from those of any other
	now     func() time.Time
	serial  int
	waiting []*thread // younger than lag
	threads []*thread
}

// thread is a conversation of one sender.
type thread struct {
	from, subject string
	ids           []string // Message-IDs, the oldest first
	serial        int
}

// draft is a mail before it is signed.
type draft struct {
	from   string
	signed bool
	text   []byte
}

func newWriter(m mix, key crypto.Signer, random *rand.Rand, now func() time.Time) *writer {
	return &writer{mix: m, key: key, random: random, run: random.Uint64(), now: now}
}

// mails makes the next n. Signing takes all processors: about a millisecond each.
func (w *writer) mails(n int) ([]mail, error) {
	drafts := make([]draft, n)
	for i := range drafts {
		drafts[i] = w.draft()
	}
	made := make([]mail, n)
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var all sync.WaitGroup
	for k := range workers {
		all.Go(func() {
			for i := k; i < n && errs[k] == nil; i += workers {
				made[i], errs[k] = w.finish(drafts[i])
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return made, nil
}

// draft writes the next mail: a new matter, or the next word in an old one.
func (w *writer) draft() draft {
	w.serial++
	w.ripen()
	t := w.pick()
	id := fmt.Sprintf("<%d.%x@%s>", w.serial, w.run, domainOf(t.from))
	text := w.compose(t, id)
	t.ids = append(t.ids, id)
	if len(t.ids) > 20 {
		t.ids = t.ids[1:]
	}
	t.serial = w.serial
	w.waiting = append(w.waiting, t)
	return draft{from: t.from, signed: w.random.Float64() < w.mix.signed, text: text}
}

// ripen moves threads whose last mail is old enough to where they are answered.
func (w *writer) ripen() {
	for len(w.waiting) > 0 && w.waiting[0].serial+lag <= w.serial {
		if len(w.threads) < maxThreads {
			w.threads = append(w.threads, w.waiting[0])
		} else {
			w.threads[w.random.IntN(maxThreads)] = w.waiting[0]
		}
		w.waiting = w.waiting[1:]
	}
}

// pick chooses the thread to write in, and takes it out of those that wait for
// an answer.
func (w *writer) pick() *thread {
	if len(w.threads) > 0 && w.random.Float64() < w.mix.replies {
		i, last := w.random.IntN(len(w.threads)), len(w.threads)-1
		t := w.threads[i]
		w.threads[i] = w.threads[last]
		w.threads = w.threads[:last]
		return t
	}
	sender := w.random.IntN(w.mix.senders)
	return &thread{
		from:    fmt.Sprintf("customer%d@firm%d.example", sender, sender%domains),
		subject: w.words(5),
	}
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// compose writes header and body, with CRLF.
func (w *writer) compose(t *thread, id string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Received: from mail.%[1]s (mail.%[1]s [192.0.2.7])\r\n\tby mx.desk.example with ESMTPS id %[2]X;\r\n\t%[3]s\r\n",
		domainOf(t.from), w.random.Uint32(), w.now().Format(time.RFC1123Z))
	fmt.Fprintf(&b, "From: Customer <%s>\r\nTo: <%s>\r\nDate: %s\r\nMessage-ID: %s\r\n",
		t.from, w.mix.to, w.now().Format(time.RFC1123Z), id)
	if len(t.ids) == 0 {
		fmt.Fprintf(&b, "Subject: %s\r\n", t.subject)
	} else {
		fmt.Fprintf(&b, "Subject: Re: %s\r\nIn-Reply-To: %s\r\nReferences: %s\r\n",
			t.subject, t.ids[len(t.ids)-1], strings.Join(t.ids, "\r\n "))
	}
	b.WriteString("MIME-Version: 1.0\r\n")
	w.body(&b, len(t.ids) > 0)
	return b.Bytes()
}

// body fills the mail up to its size.
func (w *writer) body(b *bytes.Buffer, quotes bool) {
	const signature = 700 // octets that signing adds
	left := max(w.mix.size-b.Len()-signature, 100)
	const plain = "Content-Type: text/plain; charset=utf-8\r\n\r\n"
	if w.random.Float64() >= w.mix.html {
		b.WriteString(plain)
		w.lines(b, left, "", "", quotes)
		return
	}
	boundary := fmt.Sprintf("=_%x", w.random.Uint64())
	fmt.Fprintf(b, "Content-Type: multipart/alternative; boundary=%q\r\n\r\n--%s\r\n%s", boundary, boundary, plain)
	w.lines(b, left/2, "", "", quotes)
	fmt.Fprintf(b, "\r\n--%s\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body>\r\n", boundary)
	w.lines(b, left/2, "<p style=\"margin:0\">", "</p>", false)
	fmt.Fprintf(b, "</body></html>\r\n--%s--\r\n", boundary)
}

// lines writes about size octets of text; of a reply the second half is quoted.
func (w *writer) lines(b *bytes.Buffer, size int, before, after string, quotes bool) {
	begin := b.Len()
	quoting := false
	for b.Len()-begin < size {
		if quotes && !quoting && b.Len()-begin > size/2 {
			quoting = true
			b.WriteString("\r\nOn Monday the desk wrote:\r\n")
			before = "> " + before
		}
		b.WriteString(before + w.words(9) + after + "\r\n")
	}
}

var vocabulary = strings.Fields(`printer paper invoice order delivery account password screen cable
	server office window table customer Monday Friday please thanks cannot does not print open
	close after before since update version number green light red button error again today
	yesterday colleague meeting contract price offer attached question answer Grüße größer weiß`)

func (w *writer) words(n int) string {
	chosen := make([]string, n)
	for i := range chosen {
		chosen[i] = vocabulary[w.random.IntN(len(vocabulary))]
	}
	// A number makes searching, and text that is kept once, do their work.
	return strings.Join(chosen, " ") + fmt.Sprintf(" %d", w.random.IntN(1_000_000))
}

// signedFields are those that a careful sender signs.
var signedFields = []string{
	"From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "MIME-Version", "Content-Type",
}

// finish signs and prepares for the wire. It may be called from several
// goroutines.
func (w *writer) finish(d draft) (mail, error) {
	text := d.text
	if d.signed {
		var signed bytes.Buffer
		err := dkim.Sign(&signed, bytes.NewReader(text), &dkim.SignOptions{
			Domain: domainOf(d.from), Selector: selector, Signer: w.key, Hash: crypto.SHA256,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
			HeaderKeys: signedFields,
		})
		if err != nil {
			return mail{}, fmt.Errorf("sign: %w", err)
		}
		text = signed.Bytes()
	}
	text = bytes.ReplaceAll(text, []byte("\r\n."), []byte("\r\n.."))
	return mail{from: d.from, wire: append(text, ".\r\n"...)}, nil
}
