/** What a connection can fail with → what a person or the restart policy can do about it. */
import { FatalError, RetriableError, TributaryError } from '../../api/errors.ts';

const UNTRUSTED = new Set(['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'CERT_UNTRUSTED', 'CERT_REVOKED', 'CERT_SIGNATURE_FAILURE']);

interface Facts { readonly name?: string; readonly code?: string; readonly type?: string; readonly message?: string }

/** Errors of kafkajs, of Node's sockets and of TLS, as one of ours. `where` is host:port. */
export function connectionError(error: unknown, where: string): TributaryError {
  if (error instanceof TributaryError) return error;
  const { name = '', code = '', type = '', message = String(error) } = error as Facts;
  const facts = { cause: error };
  if (name === 'KafkaJSSASLAuthenticationError' || type === 'SASL_AUTHENTICATION_FAILED') {
    return new FatalError(`Broker ${where} refused the credentials: ${message}`, { ...facts, code: 'KAFKA_AUTHENTICATION', hint: 'Check user and password (or the token) in sasl.jaas.config, and sasl.mechanism.' });
  }
  if (type === 'UNSUPPORTED_SASL_MECHANISM' || type === 'ILLEGAL_SASL_STATE') {
    return new FatalError(`Broker ${where} does not take this SASL mechanism: ${message}`, { ...facts, code: 'KAFKA_SASL', hint: 'Set sasl.mechanism to one that this listener offers, and security.protocol to what the listener speaks.' });
  }
  const tls = tlsError(code, message, where, facts);
  if (tls !== undefined) return tls;
  if (code === 'ENOTFOUND') return new RetriableError(`The host name of broker ${where} is not known`, { ...facts, code: 'KAFKA_HOST_UNKNOWN', hint: 'Check bootstrap.servers, and the brokers\' advertised.listeners.' });
  if (name === 'KafkaJSRequestTimeoutError' || /timeout|timed out/i.test(message)) return new RetriableError(`Broker ${where} did not answer in time: ${message}`, { ...facts, code: 'KAFKA_TIMEOUT', hint: 'Check the network and the brokers\' load; see request.timeout.ms.' });
  return new RetriableError(`Broker ${where} cannot be reached: ${message}`, { ...facts, code: 'KAFKA_UNREACHABLE', hint: 'Check that the broker runs, and that bootstrap.servers and security.protocol fit its listener.' });
}

function tlsError(code: string, message: string, where: string, facts: { readonly cause: unknown }): FatalError | undefined {
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return new FatalError(`The certificate of broker ${where} is ${code === 'CERT_HAS_EXPIRED' ? 'expired' : 'not valid yet'}`, { ...facts, code: 'KAFKA_CERTIFICATE_EXPIRED', hint: 'Renew the certificate in the broker\'s key store, or check this machine\'s clock.' });
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return new FatalError(`The certificate of broker ${where} names another host: ${message}`, { ...facts, code: 'KAFKA_CERTIFICATE_NAME', hint: 'Use a name that the certificate has; an empty ssl.endpoint.identification.algorithm turns the check off.' });
  }
  if (UNTRUSTED.has(code)) {
    return new FatalError(`The certificate of broker ${where} is not trusted: ${message}`, { ...facts, code: 'KAFKA_CERTIFICATE_UNTRUSTED', hint: 'Put the certificate of the authority that issued it into ssl.truststore.location.' });
  }
  if (/certificate required|bad certificate|alert number 116|alert number 42/i.test(message)) {
    return new FatalError(`Broker ${where} asks for a client certificate, or refused ours: ${message}`, { ...facts, code: 'KAFKA_CLIENT_CERTIFICATE', hint: 'Give key and certificate in ssl.keystore.location.' });
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL')) {
    return new FatalError(`No TLS connection to broker ${where}: ${message}`, { ...facts, code: 'KAFKA_TLS', hint: 'Check that this listener speaks TLS (security.protocol), and ssl.enabled.protocols.' });
  }
  return undefined;
}
