package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"ticketgate/gateway/lmtp"
)

func (d *Daemon) newIntake() *intake {
	return newIntake(d.config.Hostname, d.core.Threading, newVerifier(d.core, d.opt.Now), d.metrics, d.log)
}

// drainShare is how much of the time to stop the intake may use: what comes
// after it needs a moment as well.
const drainShare = 0.8

// startIntake starts the LMTP listeners, and the SMTP ones if there are any.
func (d *Daemon) startIntake(ctx context.Context, in *intake) error {
	var servers []*lmtp.Server
	d.end.push("intake", func(ctx context.Context) error { return drainAll(ctx, servers) })
	for _, face := range faces {
		c := d.config.LMTP
		if face == FaceSMTP {
			c = d.config.SMTP
		}
		handedIn := d.opt.Listeners[face]
		if len(handedIn) > 0 {
			c.Listen = nil
		}
		if len(handedIn)+len(c.Listen) == 0 {
			continue
		}
		server := lmtp.New(d.intakeOptions(face, c, handedIn), in)
		if err := server.Start(ctx); err != nil {
			return fmt.Errorf("%s.listen: %w", face, err)
		}
		servers = append(servers, server)
		d.heard(face, server.Addrs()...)
	}
	return d.startLookup(ctx, in)
}

// startLookup answers the MTA that asks which recipients there are.
func (d *Daemon) startLookup(ctx context.Context, in *intake) error {
	if len(d.config.LookupListen) == 0 {
		return nil
	}
	lookup, err := lmtp.StartLookup(ctx, texts(d.config.LookupListen), in.Recipient, d.log)
	if err != nil {
		return fmt.Errorf("lookup.listen: %w", err)
	}
	d.end.push("lookup", func(context.Context) error { return lookup.Stop() })
	d.heard(FaceLookup, lookup.Addrs()...)
	return nil
}

// intakeMemory bounds the bytes of large mails that are in memory at once.
const intakeMemory = 128 << 20

func (d *Daemon) intakeOptions(face string, c IntakeConfig, handedIn []net.Listener) lmtp.Options {
	m := d.metrics
	return lmtp.Options{
		Hostname: d.config.Hostname, Listen: texts(c.Listen), Protocol: lmtp.Protocol(face), Listeners: handedIn,
		Allow: c.Allow, TLS: d.certs[FaceLMTP].config(), MaxMessageBytes: c.MaxMessageBytes, MaxRecipients: c.MaxRecipients,
		MaxConnections: c.MaxConnections, Timeout: c.Timeout, MemoryBudget: intakeMemory, Log: d.log, Now: d.opt.Now,
		Metrics: lmtp.Metrics{
			Connections: func(delta int) { m.connections.WithLabelValues(face).Add(float64(delta)) },
			Refused:     func(reason string) { m.turnedAway.WithLabelValues(face, reason).Inc() },
			Aborted:     func(reason string) { m.aborted.WithLabelValues(face, reason).Inc() },
			Received:    func(took time.Duration, _ int64) { m.took(stageReceive, took) },
			Delivered:   m.delivered,
		},
	}
}

// drainAll stops servers side by side.
func drainAll(ctx context.Context, servers []*lmtp.Server) error {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(float64(time.Until(deadline))*drainShare))
		defer cancel()
	}
	errs := make([]error, len(servers))
	var all sync.WaitGroup
	for i, s := range servers {
		all.Go(func() { errs[i] = s.Stop(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}
