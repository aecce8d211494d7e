// Command collector is a released OpenTelemetry Collector with as little in it as the test needs: it takes OTLP as every
// Collector does, and writes what it received to a file, a line of OTLP in JSON for each batch.
//
//	collector --config=FILE
package main

import (
	"context"
	"log"
	"os"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

// config of the exporter `lines`.
type config struct {
	// Path is the file; what is written to it is appended.
	Path string `mapstructure:"path"`
}

// lines writes batches to a file.
type lines struct {
	path string
	lock sync.Mutex
	file *os.File
}

func (l *lines) Start(context.Context, component.Host) (err error) {
	l.file, err = os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return err
}

func (l *lines) Shutdown(context.Context) error { return l.file.Close() }

func (*lines) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (l *lines) ConsumeTraces(_ context.Context, traces ptrace.Traces) error {
	line, err := (&ptrace.JSONMarshaler{}).MarshalTraces(traces)
	return l.write(line, err)
}

func (l *lines) ConsumeMetrics(_ context.Context, metrics pmetric.Metrics) error {
	line, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(metrics)
	return l.write(line, err)
}

func (l *lines) write(line []byte, err error) error {
	if err != nil {
		return err
	}
	l.lock.Lock()
	defer l.lock.Unlock()
	_, err = l.file.Write(append(line, '\n'))
	return err
}

func exporters() exporter.Factory {
	made := func(given component.Config) *lines { return &lines{path: given.(*config).Path} }
	traces := func(_ context.Context, _ exporter.Settings, given component.Config) (exporter.Traces, error) {
		return made(given), nil
	}
	metrics := func(_ context.Context, _ exporter.Settings, given component.Config) (exporter.Metrics, error) {
		return made(given), nil
	}
	return exporter.NewFactory(
		component.MustNewType("lines"),
		func() component.Config { return &config{} },
		exporter.WithTraces(traces, component.StabilityLevelStable),
		exporter.WithMetrics(metrics, component.StabilityLevelStable),
	)
}

func components() (otelcol.Factories, error) {
	receivers, err := otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory())
	if err != nil {
		return otelcol.Factories{}, err
	}
	exporters, err := otelcol.MakeFactoryMap[exporter.Factory](exporters())
	return otelcol.Factories{
		Receivers: receivers,
		Exporters: exporters,
		Telemetry: otelconftelemetry.NewFactory(),
	}, err
}

func main() {
	command := otelcol.NewCommand(otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: "collector", Description: "for the tests of Isthmus", Version: "0.162.0"},
		Factories: components,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{
			ResolverSettings: confmap.ResolverSettings{
				ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory()},
				DefaultScheme:     "file",
			},
		},
	})
	if err := command.Execute(); err != nil {
		log.Fatal(err)
	}
}
