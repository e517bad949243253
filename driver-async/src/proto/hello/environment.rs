//! Where the program runs, as far as the client metadata tells.

use bson::RawDocumentBuf;

use crate::{error::Result, proto::wire::DocumentWriter};

/// The operating system that the program runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatingSystem {
    /// The family, such as `Linux`; `unknown` when there is no better word.
    pub kind: String,
    /// The full name, such as `Debian GNU/Linux 13 (trixie)`.
    pub name: Option<String>,
    /// The processor's architecture, such as `x86_64`.
    pub architecture: Option<String>,
    /// The version, such as `13`.
    pub version: Option<String>,
}

impl OperatingSystem {
    pub(super) fn write(&self, os: &mut DocumentWriter<'_>) -> Result<()> {
        self.write_kind(os)?;
        append_optional(os, "name", self.name.as_deref())?;
        append_optional(os, "architecture", self.architecture.as_deref())?;
        append_optional(os, "version", self.version.as_deref())
    }

    pub(super) fn write_kind(&self, os: &mut DocumentWriter<'_>) -> Result<()> {
        os.append_str(
            "type",
            if self.kind.is_empty() {
                "unknown"
            } else {
                &self.kind
            },
        )
    }
}

/// The function service and the container that the program runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    function: Option<Function>,
    runtime: Option<&'static str>,
    orchestrator: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Function {
    name: &'static str,
    timeout_sec: Option<i32>,
    memory_mb: Option<i32>,
    region: Option<String>,
}

impl Environment {
    /// Recognises the environment by its variables, as `client.env` of the handshake
    /// specification defines.
    ///
    /// `has_dockerenv` says whether the file `/.dockerenv` exists.
    pub fn detect(variable: &dyn Fn(&str) -> Option<String>, has_dockerenv: bool) -> Self {
        let populated = |name: &str| variable(name).filter(|value| !value.is_empty());
        Self {
            function: Function::detect(&populated),
            runtime: has_dockerenv.then_some("docker"),
            orchestrator: populated("KUBERNETES_SERVICE_HOST").map(|_| "kubernetes"),
        }
    }

    /// Whether the program runs as a function of a cloud service.
    pub fn is_function(&self) -> bool {
        self.function.is_some()
    }

    /// The `env` document; `None` when nothing is known.
    pub(super) fn document(&self) -> Result<Option<RawDocumentBuf>> {
        let container = self.runtime.is_some() || self.orchestrator.is_some();
        if self.function.is_none() && !container {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let mut env = DocumentWriter::begin(&mut bytes);
        if let Some(function) = &self.function {
            function.write(&mut env)?;
        }
        if container {
            env.append_document_with("container", |container| {
                append_optional(container, "runtime", self.runtime)?;
                append_optional(container, "orchestrator", self.orchestrator)
            })?;
        }
        env.end()?;
        Ok(Some(RawDocumentBuf::from_bytes(bytes)?))
    }

    /// The name of the function service.
    pub(super) fn name(&self) -> Option<&'static str> {
        self.function.as_ref().map(|function| function.name)
    }
}

impl Function {
    fn detect(populated: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let has = |name: &str| populated(name).is_some();
        let aws = populated("AWS_EXECUTION_ENV").is_some_and(|v| v.starts_with("AWS_Lambda_"))
            || has("AWS_LAMBDA_RUNTIME_API");
        let azure = has("FUNCTIONS_WORKER_RUNTIME");
        let gcp = has("K_SERVICE") || has("FUNCTION_NAME");
        let vercel = has("VERCEL");
        let number = |name: &str| populated(name)?.parse().ok();
        let plain = |name| Self {
            name,
            timeout_sec: None,
            memory_mb: None,
            region: None,
        };
        match (aws, azure, gcp, vercel) {
            // Vercel's functions run on AWS, so both sets of variables are there.
            (_, false, false, true) => Some(Self {
                region: populated("VERCEL_REGION"),
                ..plain("vercel")
            }),
            (true, false, false, false) => Some(Self {
                memory_mb: number("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
                region: populated("AWS_REGION"),
                ..plain("aws.lambda")
            }),
            (false, true, false, false) => Some(plain("azure.func")),
            (false, false, true, false) => Some(Self {
                timeout_sec: number("FUNCTION_TIMEOUT_SEC"),
                memory_mb: number("FUNCTION_MEMORY_MB"),
                region: populated("FUNCTION_REGION"),
                ..plain("gcp.func")
            }),
            _ => None,
        }
    }

    fn write(&self, env: &mut DocumentWriter<'_>) -> Result<()> {
        env.append_str("name", self.name)?;
        if let Some(seconds) = self.timeout_sec {
            env.append_i32("timeout_sec", seconds)?;
        }
        if let Some(megabytes) = self.memory_mb {
            env.append_i32("memory_mb", megabytes)?;
        }
        append_optional(env, "region", self.region.as_deref())
    }
}

fn append_optional(writer: &mut DocumentWriter<'_>, key: &str, value: Option<&str>) -> Result<()> {
    value.map_or(Ok(()), |value| writer.append_str(key, value))
}

#[cfg(test)]
mod tests {
    use bson::{Document, RawDocument, doc};

    use super::*;

    fn detected(variables: &[(&str, &str)], has_dockerenv: bool) -> Option<Document> {
        let variable = |wanted: &str| {
            let found = variables.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| (*value).to_owned())
        };
        let env = Environment::detect(&variable, has_dockerenv)
            .document()
            .unwrap();
        env.map(|env| Document::try_from(env.as_ref() as &RawDocument).unwrap())
    }

    const LAMBDA: (&str, &str) = ("AWS_EXECUTION_ENV", "AWS_Lambda_java8");

    #[test]
    fn recognises_each_function_service() {
        for (variables, wanted) in [
            (
                &[
                    LAMBDA,
                    ("AWS_REGION", "us-east-2"),
                    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
                ][..],
                doc! { "name": "aws.lambda", "memory_mb": 1024, "region": "us-east-2" },
            ),
            (
                &[("AWS_LAMBDA_RUNTIME_API", "x")],
                doc! { "name": "aws.lambda" },
            ),
            (
                &[("FUNCTIONS_WORKER_RUNTIME", "node")],
                doc! { "name": "azure.func" },
            ),
            (
                &[
                    ("K_SERVICE", "servicename"),
                    ("FUNCTION_MEMORY_MB", "1024"),
                    ("FUNCTION_TIMEOUT_SEC", "60"),
                    ("FUNCTION_REGION", "us-central1"),
                ],
                doc! {
                    "name": "gcp.func", "timeout_sec": 60, "memory_mb": 1024,
                    "region": "us-central1",
                },
            ),
            (&[("FUNCTION_NAME", "f")], doc! { "name": "gcp.func" }),
            (
                &[("VERCEL", "1"), ("VERCEL_REGION", "cdg1")],
                doc! { "name": "vercel", "region": "cdg1" },
            ),
            (
                &[("VERCEL", "1"), LAMBDA, ("AWS_REGION", "r")],
                doc! { "name": "vercel" },
            ),
        ] {
            assert_eq!(detected(variables, false), Some(wanted), "{variables:?}");
        }
    }

    #[test]
    fn ambiguous_and_unknown_environments_are_left_out() {
        for variables in [
            &[LAMBDA, ("FUNCTIONS_WORKER_RUNTIME", "node")][..],
            &[("VERCEL", "1"), ("K_SERVICE", "s")],
            &[("VERCEL", "1"), LAMBDA, ("K_SERVICE", "s")],
            &[("AWS_EXECUTION_ENV", "EC2")],
            &[("VERCEL", "")],
            &[("AWS_REGION", "us-east-2")],
            &[],
        ] {
            assert_eq!(detected(variables, false), None, "{variables:?}");
        }
    }

    #[test]
    fn a_number_that_is_none_is_left_out() {
        for size in ["big", "1e3", "99999999999", ""] {
            let variables = [LAMBDA, ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", size)];
            assert_eq!(
                detected(&variables, false),
                Some(doc! { "name": "aws.lambda" }),
                "{size}"
            );
        }
    }

    #[test]
    fn a_container_is_named_beside_a_function_service() {
        let kubernetes = ("KUBERNETES_SERVICE_HOST", "1");
        assert_eq!(
            detected(&[LAMBDA, ("AWS_REGION", "us-east-2"), kubernetes], false),
            Some(doc! {
                "name": "aws.lambda", "region": "us-east-2",
                "container": { "orchestrator": "kubernetes" },
            })
        );
        assert_eq!(
            detected(&[kubernetes], true),
            Some(doc! { "container": { "runtime": "docker", "orchestrator": "kubernetes" } })
        );
        assert_eq!(
            detected(&[], true),
            Some(doc! { "container": { "runtime": "docker" } })
        );
    }
}
