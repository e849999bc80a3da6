{{- /* Parts that several templates share. `root` is the top of the values, `part` is "gateway" or "worker". */ -}}
{{- define "faceline.labels" -}}
{{ include "faceline.selector" . }}
app.kubernetes.io/part-of: faceline
{{- end }}

{{- define "faceline.selector" -}}
app.kubernetes.io/name: faceline-{{ .part }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "faceline.image" -}}
{{- $values := index .root.Values .part -}}
{{ with .root.Values.image.registry }}{{ . }}/{{ end }}{{ $values.image.name }}:{{ $values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- /* A setting as the text of a variable. Helm reads whole numbers as floating-point ones and would write 1e+06, and a list without its quotes. */ -}}
{{- define "faceline.settingText" -}}
{{- if kindIs "slice" . }}{{ toRawJson . }}
{{- else if kindIs "map" . }}{{ fail "write settings as `section.key: value`, without nesting" }}
{{- else if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}
{{- else }}{{ toString . }}
{{- end }}
{{- end }}

{{- define "faceline.env" -}}
{{- $values := index .root.Values .part -}}
{{- $own := dict "admin.listen" "0.0.0.0:9090" "data_dir" "/var/lib/faceline" "log.format" "json" -}}
{{- if eq .part "worker" }}{{ $_ := merge $own (dict "models.dir" "/usr/share/faceline/models" "inference.sessions" $values.cores) }}{{ end -}}
{{- /* The last one wins. `merge` would take `false` and 0 for missing. */ -}}
{{- $settings := dict -}}
{{- range list $own .root.Values.settings $values.settings }}
{{- range $key, $value := . }}{{ $_ := set $settings $key $value }}{{ end }}
{{- end }}
{{- if eq .part "gateway" }}
# The memory limit assumes this number of threads. Tokio's default is one per core of the node.
- name: TOKIO_WORKER_THREADS
  value: {{ $values.cores | quote }}
{{- end }}
{{- range $key, $value := $settings }}
- name: FACELINE_{{ $key | replace "." "__" | upper }}
  value: {{ include "faceline.settingText" $value | quote }}
{{- end }}
- name: FACELINE_BROKER__URL
  valueFrom: { secretKeyRef: { name: {{ .root.Values.secrets.broker }}, key: url } }
- name: FACELINE_STORE__URL
  valueFrom: { secretKeyRef: { name: {{ .root.Values.secrets.store }}, key: url } }
# Optional: without them the program uses the pod's workload identity.
- name: FACELINE_OBJECTS__ACCESS_KEY_ID
  valueFrom: { secretKeyRef: { name: {{ .root.Values.secrets.objects }}, key: access_key_id, optional: true } }
- name: FACELINE_OBJECTS__SECRET_ACCESS_KEY
  valueFrom: { secretKeyRef: { name: {{ .root.Values.secrets.objects }}, key: secret_access_key, optional: true } }
{{- end }}

{{- define "faceline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "faceline.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "faceline.probes" -}}
# The startup probe covers the time until the program listens. /livez does not depend on RabbitMQ, Redis or S3, so an outage of
# these restarts no pod.
startupProbe:
  httpGet: { path: /livez, port: admin }
  periodSeconds: {{ .startup.periodSeconds }}
  failureThreshold: {{ .startup.failureThreshold }}
livenessProbe:
  httpGet: { path: /livez, port: admin }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: { path: /readyz, port: admin }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}

{{- define "faceline.pod" -}}
{{- $values := index .root.Values .part -}}
serviceAccountName: faceline-{{ .part }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext: {{ include "faceline.podSecurity" 10001 | nindent 2 }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: { matchLabels: { app.kubernetes.io/name: faceline-{{ $.part }} } }
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}

{{- define "faceline.objectsMount" -}}
{{- with .Values.objects.claim }}
- { name: objects, mountPath: {{ $.Values.objects.mountPath }} }
{{- end }}
{{- end }}

{{- define "faceline.objectsVolume" -}}
{{- with .Values.objects.claim }}
- name: objects
  persistentVolumeClaim: { claimName: {{ . }} }
{{- end }}
{{- end }}

{{- define "faceline.strategy" -}}
{{- $values := index .root.Values .part -}}
{{- if eq .root.Values.autoscaling.kind "none" }}
replicas: {{ $values.replicas }}
{{- end }}
revisionHistoryLimit: 5
strategy:
  type: RollingUpdate
  rollingUpdate: {{ toYaml $values.strategy | nindent 4 }}
{{- end }}
