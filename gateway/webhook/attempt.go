package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"ticketgate/store"
)

const (
	maxAnswer     = 64 << 10       // octets of an answer that are read
	maxRetryAfter = 24 * time.Hour // that a receiver may ask for
)

// result is what came of one attempt.
type result struct {
	store.WebhookAttempt
	retryAfter time.Duration
	gone       bool // the receiver wants no more, ever
}

// attempt sends a message once, in at most Timeout.
func (s *Service) attempt(ctx context.Context, w *store.Webhook, d store.WebhookDelivery) (r result) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	start := time.Now()
	defer func() { r.Milliseconds = time.Since(start).Milliseconds() }()
	req, err := s.request(ctx, w, d)
	if err != nil {
		s.opt.Log.ErrorContext(ctx, "a webhook's message can't be made", "webhook_id", w.ID, "err", err)
		r.Error = "it can't be signed: see the log"
		return r
	}
	client := s.secure
	if req.URL.Scheme != "https" {
		client = s.plain
	}
	res, err := client.Do(req)
	if err != nil {
		r.Error = inWords(err)
		return r
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer)) // so that the connection can be used again; what it says is nothing to us
	return judged(res)
}

// judged says what an answer means.
func judged(res *http.Response) (r result) {
	r.Code = res.StatusCode
	switch class := r.Code / 100; {
	case class == 2:
	case r.Code == http.StatusGone:
		r.Error, r.gone = "gone", true
	case class == 3:
		r.Error = "a redirect, which is not followed"
	default:
		r.Error = "refused"
		if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
			r.retryAfter = min(time.Duration(min(seconds, 1<<30))*time.Second, maxRetryAfter)
		}
	}
	return r
}

// request makes the request of a message, signed at this moment.
func (s *Service) request(ctx context.Context, w *store.Webhook, d store.WebhookDelivery) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, strings.NewReader(d.Body))
	if err != nil {
		return nil, err
	}
	now := s.opt.Now()
	signature, err := s.sign(w, d, now)
	if err != nil {
		return nil, err
	}
	// As lower-case names: HTTP doesn't mind, and so the specification writes them.
	req.Header.Set(standardwebhooks.HeaderWebhookID, d.ID)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", s.userAgent())
	return req, nil
}

// sign signs with every secret that has not ended.
func (s *Service) sign(w *store.Webhook, d store.WebhookDelivery, now time.Time) (string, error) {
	var signatures []string
	for _, secret := range w.Secrets {
		if !secret.Until.IsZero() && !now.Before(secret.Until) {
			continue
		}
		plain, err := OpenSecret(s.opt.Seal, w.ID, secret)
		if err != nil {
			return "", err
		}
		signer, err := standardwebhooks.NewWebhook(plain)
		if err != nil {
			return "", err
		}
		signature, err := signer.Sign(d.ID, now, []byte(d.Body))
		if err != nil {
			return "", err
		}
		signatures = append(signatures, signature)
	}
	if len(signatures) == 0 {
		return "", errors.New("the webhook has no secret")
	}
	return strings.Join(signatures, " "), nil
}

// inWords says what went wrong without an address or a name of the network in
// it: an admin reads it, and he may not know what lies behind the machine.
func inWords(err error) string {
	if errors.Is(err, errRefused) {
		return "the address is private or not allowed"
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "no answer in time"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "the name has no address"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the certificate is not trusted"
	}
	return "no connection, or it broke"
}
