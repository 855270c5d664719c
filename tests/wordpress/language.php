<?php
/**
 * Writes a language file with WordPress's own code: NAME.mo, or NAME.l10n.php where the release knows such files.
 *
 * php language.php FOLDER ADDRESS LOCALE KIND, a JSON object on standard input: the American sentence and its translation. A
 * sentence may be named by its SHA-256, and is then taken from the site's own files.
 */

require __DIR__ . '/load.php';
require_once ABSPATH . WPINC . '/pomo/mo.php';

list( , , , $locale, $kind ) = $argv;

/** The sentence with this digest among those that WordPress translates. */
function sentence( $digest ) {
	foreach ( array( 'pluggable.php', 'user.php' ) as $file ) {
		foreach ( token_get_all( file_get_contents( ABSPATH . WPINC . '/' . $file ) ) as $token ) {
			if ( ! is_array( $token ) || T_CONSTANT_ENCAPSED_STRING !== $token[0] ) {
				continue;
			}
			$text = strtr( substr( $token[1], 1, -1 ), array( "\\'" => "'", '\\\\' => '\\' ) );
			if ( hash( 'sha256', $text ) === $digest ) {
				return $text;
			}
		}
	}
	throw new RuntimeException( $digest );
}

$mo = new MO();
foreach ( json_decode( stream_get_contents( STDIN ), true, 512, JSON_THROW_ON_ERROR ) as $text => $translation ) {
	list( $context, $message ) = array_pad( explode( "\4", $text ), -2, null );
	if ( preg_match( '/^[0-9a-f]{64}$/', $message ) ) {
		$message = sentence( $message );
	}
	$mo->add_entry( array( 'singular' => $message, 'context' => $context, 'translations' => array( $translation ) ) );
}
wp_mkdir_p( WP_LANG_DIR );
$file = WP_LANG_DIR . "/$locale.mo";
$mo->export_to_file( $file );
if ( 'php' === $kind ) {
	$php = WP_Translation_File::transform( $file, 'php' );
	file_put_contents( WP_LANG_DIR . "/$locale.l10n.php", $php );
	unlink( $file );
}
echo WP_LANG_DIR;
