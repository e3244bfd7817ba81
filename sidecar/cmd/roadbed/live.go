package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roadbed.dev/roadbed/sidecar/internal/cost"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// livePrices prices by the policies in force.
type livePrices struct {
	current atomic.Pointer[cost.Pricer]
}

// Price implements provision.Pricer. It is Unavailable before there are any.
func (p *livePrices) Price(o provision.Offering, given provision.Parameters) (provision.Estimate, error) {
	pricer := p.current.Load()
	if pricer == nil {
		return provision.Estimate{}, provision.Errorf(provision.Unavailable, "no prices have been received yet; they come with the policies")
	}
	return pricer.Price(o, given)
}

// liveCatalog shows presets at the price that is in force.
type liveCatalog struct {
	provision.Catalog
	prices *livePrices
}

// Offering implements provision.Catalog.
func (c liveCatalog) Offering(id string) (provision.Offering, error) {
	o, err := c.Catalog.Offering(id)
	return c.priced(o), err
}

// Offerings implements provision.Catalog.
func (c liveCatalog) Offerings() []provision.Offering {
	all := c.Catalog.Offerings()
	for i, o := range all {
		all[i] = c.priced(o)
	}
	return all
}

func (c liveCatalog) priced(o provision.Offering) provision.Offering {
	presets := append([]provision.Preset(nil), o.Presets...)
	for i, preset := range presets {
		if estimate, err := c.prices.Price(o, preset.Parameters); err == nil {
			presets[i].MonthlyCost = estimate.MonthlyCost
		}
	}
	if o.Presets != nil {
		o.Presets = presets
	}
	return o
}

// policySource is where the policies in force come from; without any they are
// built in.
type policySource struct {
	Bundle   string        `help:"URL of a policy bundle in a service that speaks OPA's bundle API, instead of --policies." placeholder:"URL" env:"ROADBED_POLICY_BUNDLE"`
	Token    string        `name:"bundle-token" help:"File with the bearer token for that service; it is read for each poll." type:"existingfile" env:"ROADBED_POLICY_BUNDLE_TOKEN_FILE"`
	Key      string        `name:"bundle-key" help:"PEM file of the public key that bundles must be signed for." type:"existingfile" env:"ROADBED_POLICY_BUNDLE_KEY_FILE"`
	Cache    string        `name:"bundle-cache" help:"Folder that keeps the last good bundle, for a start while the service is away." placeholder:"DIR" type:"path" env:"ROADBED_POLICY_BUNDLE_CACHE"`
	Interval time.Duration `name:"bundle-interval" help:"How often the service is asked." default:"1m" env:"ROADBED_POLICY_BUNDLE_INTERVAL"`
}

// check holds the relations between settings.
func (p policySource) check(folder string) error {
	switch {
	case p.Bundle != "" && folder != "":
		return fmt.Errorf("--policies and --policy-bundle both say where policies come from; give one of them")
	case p.Bundle == "" && (p.Token != "" || p.Key != "" || p.Cache != ""):
		return fmt.Errorf("--policy-bundle-token, --policy-bundle-key and --policy-bundle-cache need --policy-bundle")
	case p.Bundle != "" && p.Interval < time.Second:
		return fmt.Errorf("--policy-bundle-interval is %s; it must be 1s or more", p.Interval)
	}
	return nil
}

// follow makes the domain decide by whatever good policies and prices the source
// or the folder holds, from now on; without either they are built in and stay.
func (d *domain) follow(dir string, from policySource, log *slog.Logger) error {
	if dir == "" && from.Bundle == "" {
		return nil
	}
	prices := &livePrices{}
	config := policy.LiveConfig{
		Log: log,
		Begin: func() func(error) {
			if d.looks == nil {
				return func(error) {}
			}
			return d.looks()
		},
		Adopt: func(b *policy.Bundle) error {
			book, err := cost.ParseBook(b.PricesYAML())
			if err != nil {
				return err
			}
			prices.current.Store(cost.New(book))
			return nil
		},
	}
	if from.Bundle != "" {
		service, err := from.open(config)
		if err != nil {
			return err
		}
		d.live, d.watch = service.Live, func(ctx context.Context) error { return service.Run(ctx, from.Interval) }
	} else {
		config.Files = os.DirFS(dir)
		live, err := policy.NewLive(config)
		if err != nil {
			return err
		}
		d.live, d.watch = live, func(ctx context.Context) error { return live.Run(ctx, policyInterval) }
	}
	d.authorizer, d.calendar, d.limits, d.served = d.live, d.live, d.live.Limits, liveCatalog{d.publication, prices}
	d.judge.Prices, d.judge.Rules = prices, d.live
	return nil
}

func (p policySource) open(config policy.LiveConfig) (*policy.Service, error) {
	c := policy.ServiceConfig{LiveConfig: config, URL: p.Bundle, TokenFile: p.Token, Cache: p.Cache}
	if p.Key != "" {
		text, err := os.ReadFile(p.Key)
		if err != nil {
			return nil, fmt.Errorf("read the policy bundle key: %w", err)
		}
		if c.Key, err = policy.ParseKey(text); err != nil {
			return nil, err
		}
	}
	return policy.NewService(c), nil
}

// ready is nil while there are policies to decide by.
func (d *domain) ready() error {
	if d.live == nil {
		return nil
	}
	return d.live.Ready()
}

// note is what an operator should know of a sidecar that is ready, "" for nothing.
func (d *domain) note() string {
	if d.live == nil || d.live.Err() == nil {
		return ""
	}
	return "newer policies were refused; the last good ones are in force"
}

// meter tells how old the policies in force are, and whether newer ones were
// refused.
func (d *domain) meter(registry *prometheus.Registry) {
	if d.live == nil {
		return
	}
	registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "roadbed_policy_bundle_age_seconds", Help: "How long the policies have been in force.",
		}, func() float64 { return d.live.Age().Seconds() }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "roadbed_policy_bundle_refused", Help: "1 while what the folder or the service of policies holds was refused, else 0.",
		}, func() float64 {
			if d.live.Err() != nil {
				return 1
			}
			return 0
		}),
	)
}
